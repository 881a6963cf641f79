#pragma once
// ListOffsets (key 2).

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct ListOffsetsResponse {
  static constexpr ApiKey api = ApiKey::kListOffsets;
  static constexpr std::string_view name = "ListOffsetsResponse";
  static constexpr Versions valid{1, 7}, flexible = from_version(6);

  struct Partition {
    PartitionIndex index{0};
    ErrorCode error_code = ErrorCode::kNone;
    std::int64_t timestamp_ms = -1;
    Offset offset{-1};
    LeaderEpoch leader_epoch{kNoLeaderEpoch};
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.error_code);
      f(m.timestamp_ms);
      f(m.offset);
      // Not ignorable in Kafka, whose brokers leave it out themselves before version 4.
      f(m.leader_epoch, since(4).ignorable());
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
    f(m.throttle_time_ms, since(2).ignorable());
    f(m.topics);
  }
  friend bool operator==(const ListOffsetsResponse&, const ListOffsetsResponse&) = default;
};

struct ListOffsetsRequest {
  using Response = ListOffsetsResponse;
  static constexpr ApiKey api = ApiKey::kListOffsets;
  static constexpr std::string_view name = "ListOffsetsRequest";
  static constexpr Versions valid{1, 7}, flexible = from_version(6);

  /// Values of `timestamp_ms` that are no times. The last one is known from version 7 (KIP-734).
  static constexpr std::int64_t kLatest = -1, kEarliest = -2, kMaxTimestamp = -3;

  struct Partition {
    PartitionIndex index{0};
    LeaderEpoch current_leader_epoch{kNoLeaderEpoch};
    std::int64_t timestamp_ms = 0;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.current_leader_epoch, since(4).ignorable());
      f(m.timestamp_ms);
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

  BrokerId replica_id{kNoBroker};  // -1 = a consumer
  IsolationLevel isolation_level = IsolationLevel::kReadUncommitted;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.replica_id);
    f(m.isolation_level, since(2));
    f(m.topics);
  }
  friend bool operator==(const ListOffsetsRequest&, const ListOffsetsRequest&) = default;
};

}  // namespace tributary
