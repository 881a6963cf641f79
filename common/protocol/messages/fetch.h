#pragma once
// Fetch (key 1).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct FetchResponse {
  static constexpr ApiKey api = ApiKey::kFetch;
  static constexpr std::string_view name = "FetchResponse";
  static constexpr Versions valid{4, 13}, flexible = from_version(12);

  struct EpochEndOffset {  // KIP-595
    LeaderEpoch epoch{kNoLeaderEpoch};
    Offset end_offset{-1};
    static void fields(auto& m, auto& f) {
      f(m.epoch);
      f(m.end_offset);
    }
    friend bool operator==(const EpochEndOffset&, const EpochEndOffset&) = default;
  };
  struct SnapshotId {  // KIP-630
    Offset end_offset{-1};
    LeaderEpoch epoch{kNoLeaderEpoch};
    static void fields(auto& m, auto& f) {
      f(m.end_offset);
      f(m.epoch);
    }
    friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
  };
  struct AbortedTransaction {
    ProducerId producer_id{0};
    Offset first_offset{0};
    static void fields(auto& m, auto& f) {
      f(m.producer_id);
      f(m.first_offset);
    }
    friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
  };
  struct Partition {
    PartitionIndex index{0};
    ErrorCode error_code = ErrorCode::kNone;
    Offset high_watermark{0};
    Offset last_stable_offset{-1};
    Offset log_start_offset{-1};
    EpochEndOffset diverging_epoch;
    LeaderIdAndEpoch current_leader;
    SnapshotId snapshot_id;
    /// Null with READ_UNCOMMITTED.
    std::optional<std::vector<AbortedTransaction>> aborted_transactions = std::vector<AbortedTransaction>{};
    BrokerId preferred_read_replica{kNoBroker};
    /// Some clients fail on null: send an empty view where there is nothing.
    Records records;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.error_code);
      f(m.high_watermark);
      f(m.last_stable_offset, since(4).ignorable());
      f(m.log_start_offset, since(5).ignorable());
      f(m.diverging_epoch, tagged(0, 12));
      f(m.current_leader, tagged(1, 12));
      f(m.snapshot_id, tagged(2, 12));
      f(m.aborted_transactions, since(4).nullable_since(4).ignorable());
      f(m.preferred_read_replica, since(11));
      f(m.records);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name, until(12).ignorable());
      f(m.topic_id, since(13).ignorable());
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t session_id = 0;  // 0 = no session
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code, since(7).ignorable());
    f(m.session_id, since(7));
    f(m.topics);
  }
  friend bool operator==(const FetchResponse&, const FetchResponse&) = default;
};

/// Version 13 names topics by id.
struct FetchRequest {
  using Response = FetchResponse;
  static constexpr ApiKey api = ApiKey::kFetch;
  static constexpr std::string_view name = "FetchRequest";
  static constexpr Versions valid{4, 13}, flexible = from_version(12);

  struct Partition {
    PartitionIndex index{0};
    LeaderEpoch current_leader_epoch{kNoLeaderEpoch};
    Offset fetch_offset{0};
    LeaderEpoch last_fetched_epoch{kNoLeaderEpoch};
    Offset log_start_offset{-1};  // of a follower's log
    std::int32_t bytes_max = 0;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.current_leader_epoch, since(9).ignorable());
      f(m.fetch_offset);
      f(m.last_fetched_epoch, since(12));
      f(m.log_start_offset, since(5).ignorable());
      f(m.bytes_max);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name, until(12).ignorable());
      f(m.topic_id, since(13).ignorable());
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct ForgottenTopic {  // KIP-227
    std::string name;
    Uuid topic_id;
    std::vector<PartitionIndex> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name, until(12).ignorable());
      f(m.topic_id, since(13).ignorable());
      f(m.partitions);
    }
    friend bool operator==(const ForgottenTopic&, const ForgottenTopic&) = default;
  };

  std::optional<std::string> cluster_id;
  BrokerId replica_id{kNoBroker};  // -1 = a consumer
  std::int32_t wait_ms_max = 0;
  std::int32_t bytes_min = 0;
  std::int32_t bytes_max = 0x7fffffff;
  IsolationLevel isolation_level = IsolationLevel::kReadUncommitted;
  std::int32_t session_id = 0;      // KIP-227
  std::int32_t session_epoch = -1;  // -1 = no session
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics;
  std::string rack_id;
  static void fields(auto& m, auto& f) {
    f(m.cluster_id, tagged(0, 12).ignorable());
    f(m.replica_id, until(14));
    f(m.wait_ms_max);
    f(m.bytes_min);
    f(m.bytes_max, since(3).ignorable());
    f(m.isolation_level, since(4).ignorable());
    f(m.session_id, since(7).ignorable());
    f(m.session_epoch, since(7).ignorable());
    f(m.topics);
    f(m.forgotten_topics, since(7));
    f(m.rack_id, since(11).ignorable());
  }
  friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};

}  // namespace tributary
