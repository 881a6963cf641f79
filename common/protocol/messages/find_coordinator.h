#pragma once
// FindCoordinator (key 10). Version 4 asks for several keys at once (KIP-699); up to 3 the key and its answer
// stand in the messages themselves.

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

/// What the key of FindCoordinator is: a group id or a transactional id.
enum class CoordinatorKeyType : std::int8_t { kGroup = 0, kTransaction = 1 };

struct FindCoordinatorResponse {
  static constexpr ApiKey api = ApiKey::kFindCoordinator;
  static constexpr std::string_view name = "FindCoordinatorResponse";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  struct Coordinator {
    std::string key;
    BrokerId node_id{kNoBroker};
    std::string host;
    std::int32_t port = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    static void fields(auto& m, auto& f) {
      f(m.key);
      f(m.node_id);
      f(m.host);
      f(m.port);
      f(m.error_code);
      f(m.error_message);
    }
    friend bool operator==(const Coordinator&, const Coordinator&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;  // up to version 3, as all before `coordinators`
  std::optional<std::string> error_message;
  BrokerId node_id{kNoBroker};
  std::string host;
  std::int32_t port = 0;
  std::vector<Coordinator> coordinators;  // from version 4
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code, until(3));
    f(m.error_message, between(1, 3).ignorable());
    f(m.node_id, until(3));
    f(m.host, until(3));
    f(m.port, until(3));
    f(m.coordinators, since(4));
  }
  friend bool operator==(const FindCoordinatorResponse&, const FindCoordinatorResponse&) = default;
};

struct FindCoordinatorRequest {
  using Response = FindCoordinatorResponse;
  static constexpr ApiKey api = ApiKey::kFindCoordinator;
  static constexpr std::string_view name = "FindCoordinatorRequest";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  std::string key;  // up to version 3
  CoordinatorKeyType key_type = CoordinatorKeyType::kGroup;
  std::vector<std::string> coordinator_keys;  // from version 4
  static void fields(auto& m, auto& f) {
    f(m.key, until(3));
    f(m.key_type, since(1));
    f(m.coordinator_keys, since(4));
  }
  friend bool operator==(const FindCoordinatorRequest&, const FindCoordinatorRequest&) = default;
};

}  // namespace tributary
