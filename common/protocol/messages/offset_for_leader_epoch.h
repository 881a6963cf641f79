#pragma once
// OffsetForLeaderEpoch (key 23): where an epoch ended, to find out what a reader has that the leader has not
// (KIP-101, KIP-320).

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct OffsetForLeaderEpochResponse {
  static constexpr ApiKey api = ApiKey::kOffsetForLeaderEpoch;
  static constexpr std::string_view name = "OffsetForLeaderEpochResponse";
  static constexpr Versions valid{2, 4}, flexible = from_version(4);

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    PartitionIndex index{0};
    LeaderEpoch leader_epoch{kNoLeaderEpoch};  // the largest that is not over the one asked for
    Offset end_offset{-1};                     // the offset after that epoch's last
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.index);
      f(m.leader_epoch);
      f(m.end_offset);
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
  friend bool operator==(const OffsetForLeaderEpochResponse&, const OffsetForLeaderEpochResponse&) = default;
};

struct OffsetForLeaderEpochRequest {
  using Response = OffsetForLeaderEpochResponse;
  static constexpr ApiKey api = ApiKey::kOffsetForLeaderEpoch;
  static constexpr std::string_view name = "OffsetForLeaderEpochRequest";
  static constexpr Versions valid{2, 4}, flexible = from_version(4);

  struct Partition {
    PartitionIndex index{0};
    LeaderEpoch current_leader_epoch{kNoLeaderEpoch};  // as the asker knows it, to be fenced
    LeaderEpoch leader_epoch{0};                       // the one asked for
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.current_leader_epoch);
      f(m.leader_epoch);
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

  /// A reader that may see what is over the high watermark. Version 2, which followers send too, does not
  /// say who asks and counts as this.
  static constexpr BrokerId kDebugReplica{-2};

  BrokerId replica_id{kDebugReplica};  // -1 = a consumer
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.replica_id, since(3).ignorable());
    f(m.topics);
  }
  friend bool operator==(const OffsetForLeaderEpochRequest&, const OffsetForLeaderEpochRequest&) = default;
};

}  // namespace tributary
