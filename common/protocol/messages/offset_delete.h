#pragma once
// OffsetDelete (key 47).

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct OffsetDeleteResponse {
  static constexpr ApiKey api = ApiKey::kOffsetDelete;
  static constexpr std::string_view name = "OffsetDeleteResponse";
  static constexpr Versions valid{0, 0}, flexible = kNoVersions;

  struct Partition {
    PartitionIndex index{0};
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.error_code);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.error_code);
    f(m.throttle_time_ms);
    f(m.topics);
  }
  friend bool operator==(const OffsetDeleteResponse&, const OffsetDeleteResponse&) = default;
};

struct OffsetDeleteRequest {
  using Response = OffsetDeleteResponse;
  static constexpr ApiKey api = ApiKey::kOffsetDelete;
  static constexpr std::string_view name = "OffsetDeleteRequest";
  static constexpr Versions valid{0, 0}, flexible = kNoVersions;

  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;  // in Kafka structs of one field, which are the same bytes
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::string group_id;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.topics);
  }
  friend bool operator==(const OffsetDeleteRequest&, const OffsetDeleteRequest&) = default;
};

}  // namespace tributary
