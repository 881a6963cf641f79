#pragma once
// DeleteRecords (key 21).

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DeleteRecordsResponse {
  static constexpr ApiKey api = ApiKey::kDeleteRecords;
  static constexpr std::string_view name = "DeleteRecordsResponse";
  static constexpr Versions valid{0, 2}, flexible = from_version(2);

  struct Partition {
    PartitionIndex index{0};
    Offset low_watermark{0};  // the first offset that is left, on all replicas; -1 with an error
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.low_watermark);
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

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.topics);
  }
  friend bool operator==(const DeleteRecordsResponse&, const DeleteRecordsResponse&) = default;
};

struct DeleteRecordsRequest {
  using Response = DeleteRecordsResponse;
  static constexpr ApiKey api = ApiKey::kDeleteRecords;
  static constexpr std::string_view name = "DeleteRecordsRequest";
  static constexpr Versions valid{0, 2}, flexible = from_version(2);

  static constexpr Offset kToHighWatermark{-1};

  struct Partition {
    PartitionIndex index{0};
    Offset offset{0};  // records before it are deleted
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.offset);
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

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  static void fields(auto& m, auto& f) {
    f(m.topics);
    f(m.timeout_ms);
  }
  friend bool operator==(const DeleteRecordsRequest&, const DeleteRecordsRequest&) = default;
};

}  // namespace tributary
