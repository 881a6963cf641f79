#pragma once
// IncrementalAlterConfigs (key 44).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/types.h"

namespace tributary {

struct IncrementalAlterConfigsResponse {
  static constexpr ApiKey api = ApiKey::kIncrementalAlterConfigs;
  static constexpr std::string_view name = "IncrementalAlterConfigsResponse";
  static constexpr Versions valid{0, 1}, flexible = from_version(1);

  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    ConfigResourceType type = ConfigResourceType::kUnknown;
    std::string name;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.error_message);
      f(m.type);
      f(m.name);
    }
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.resources);
  }
  friend bool operator==(const IncrementalAlterConfigsResponse&,
                         const IncrementalAlterConfigsResponse&) = default;
};

struct IncrementalAlterConfigsRequest {
  using Response = IncrementalAlterConfigsResponse;
  static constexpr ApiKey api = ApiKey::kIncrementalAlterConfigs;
  static constexpr std::string_view name = "IncrementalAlterConfigsRequest";
  static constexpr Versions valid{0, 1}, flexible = from_version(1);

  /// kAppend and kSubtract are for configs of type list (KIP-339).
  enum class Operation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

  struct Config {
    std::string name;
    Operation operation = Operation::kSet;
    std::optional<std::string> value;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.operation);
      f(m.value);
    }
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Resource {
    ConfigResourceType type = ConfigResourceType::kUnknown;
    std::string name;
    std::vector<Config> configs;
    static void fields(auto& m, auto& f) {
      f(m.type);
      f(m.name);
      f(m.configs);
    }
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::vector<Resource> resources;
  bool validate_only = false;
  static void fields(auto& m, auto& f) {
    f(m.resources);
    f(m.validate_only);
  }
  friend bool operator==(const IncrementalAlterConfigsRequest&,
                         const IncrementalAlterConfigsRequest&) = default;
};

}  // namespace tributary
