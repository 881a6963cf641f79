#pragma once
// Heartbeat (key 12).

#include <optional>
#include <string>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct HeartbeatResponse {
  static constexpr ApiKey api = ApiKey::kHeartbeat;
  static constexpr std::string_view name = "HeartbeatResponse";
  static constexpr Versions valid{0, 4}, flexible = from_version(4);

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code);
  }
  friend bool operator==(const HeartbeatResponse&, const HeartbeatResponse&) = default;
};

struct HeartbeatRequest {
  using Response = HeartbeatResponse;
  static constexpr ApiKey api = ApiKey::kHeartbeat;
  static constexpr std::string_view name = "HeartbeatRequest";
  static constexpr Versions valid{0, 4}, flexible = from_version(4);

  std::string group_id;
  GenerationId generation_id{0};
  std::string member_id;
  std::optional<std::string> group_instance_id;  // KIP-345
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.generation_id);
    f(m.member_id);
    f(m.group_instance_id, since(3));
  }
  friend bool operator==(const HeartbeatRequest&, const HeartbeatRequest&) = default;
};

}  // namespace tributary
