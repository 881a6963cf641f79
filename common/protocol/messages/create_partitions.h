#pragma once
// CreatePartitions (key 37).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct CreatePartitionsResponse {
  static constexpr ApiKey api = ApiKey::kCreatePartitions;
  static constexpr std::string_view name = "CreatePartitionsResponse";
  static constexpr Versions valid{0, 3}, flexible = from_version(2);

  struct Topic {
    std::string name;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.error_code);
      f(m.error_message);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.topics);
  }
  friend bool operator==(const CreatePartitionsResponse&, const CreatePartitionsResponse&) = default;
};

/// Version 3 is 2 from a client that knows THROTTLING_QUOTA_EXCEEDED (KIP-599).
struct CreatePartitionsRequest {
  using Response = CreatePartitionsResponse;
  static constexpr ApiKey api = ApiKey::kCreatePartitions;
  static constexpr std::string_view name = "CreatePartitionsRequest";
  static constexpr Versions valid{0, 3}, flexible = from_version(2);

  struct Assignment {
    std::vector<BrokerId> broker_ids;
    static void fields(auto& m, auto& f) { f(m.broker_ids); }
    friend bool operator==(const Assignment&, const Assignment&) = default;
  };
  struct Topic {
    std::string name;
    std::int32_t count = 0;  // of the partitions that there will be, old ones included
    /// One per new partition; null = the broker chooses.
    std::optional<std::vector<Assignment>> assignments = std::vector<Assignment>{};
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.count);
      f(m.assignments);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;
  static void fields(auto& m, auto& f) {
    f(m.topics);
    f(m.timeout_ms);
    f(m.validate_only);
  }
  friend bool operator==(const CreatePartitionsRequest&, const CreatePartitionsRequest&) = default;
};

}  // namespace tributary
