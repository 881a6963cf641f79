#pragma once
// What is asked of consumer groups and what they answer, as plain data: the handlers translate between
// these and Kafka's messages.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"
#include "common/protocol/error_code.h"

namespace tributary {

/// The caller's name for a request that waits for its answer; the coordinator only hands it back.
using ReplyToken = Strong<struct GroupReplyTokenTag, std::uint64_t>;

/// Deadlines are counted on `mono`; what is written into records, and the retention of offsets, on `wall_ms`.
struct Moment {
  MonoTime mono{};
  WallMs wall_ms = 0;
};

enum class GroupState { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable, kDead };
/// As Kafka writes it: "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead".
[[nodiscard]] std::string_view name_of(GroupState state);

/// Kafka's settings of the same meaning, and its defaults unless said.
struct GroupOptions {
  std::int32_t offsets_partitions = 50;           // offsets.topic.num.partitions
  std::int32_t session_timeout_min_ms = 6'000;    // group.min.session.timeout.ms
  std::int32_t session_timeout_max_ms = 1'800'000;  // group.max.session.timeout.ms
  std::int32_t initial_rebalance_delay_ms = 3'000;  // group.initial.rebalance.delay.ms
  /// group.max.size; also how many member ids may be handed out and not yet used. Kafka's default: no limit.
  std::size_t group_size_max = 10'000;
  std::size_t offset_metadata_bytes_max = 4'096;  // offset.metadata.max.bytes; at most 32,767
  std::size_t group_id_bytes_max = 1'024;         // ours; at most 32,767
  /// Ours: of the records of one append, and of what the members of a group say about themselves in all.
  std::size_t append_bytes_max = 8u << 20;
  std::int64_t offsets_retention_ms = 7 * 86'400'000ll;  // offsets.retention.minutes
  std::int64_t offsets_retention_check_ms = 600'000;     // offsets.retention.check.interval.ms
};

/// A protocol that a member supports (an assignor's name) and what it says to the leader under it.
struct GroupProtocol {
  std::string name;
  Bytes metadata;
  friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};

// ---- Membership ----------------------------------------------------------------------------------

struct GroupJoin {
  std::string group_id;
  std::string member_id;  // empty: a new member
  std::optional<std::string> group_instance_id;  // static member, KIP-345
  bool member_id_required = false;   // JoinGroup v4 and up, KIP-394
  bool can_skip_assignment = false;  // JoinGroup v9 and up, KIP-814
  std::string client_id;
  std::string client_host;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = 0;  // JoinGroup v0 has none: the session timeout
  std::string protocol_type;
  std::vector<GroupProtocol> protocols;  // the preferred one first
};

struct GroupJoinResult {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    Bytes metadata;
  };
  ErrorCode error = ErrorCode::kNone;
  std::string member_id;  // with MEMBER_ID_REQUIRED: the one to join with
  std::int32_t generation_id = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;
  bool skip_assignment = false;
  std::vector<Member> members;  // for the leader only
};

struct GroupSync {
  std::string group_id;
  std::string member_id;
  std::int32_t generation_id = -1;
  std::optional<std::string> group_instance_id;
  std::optional<std::string> protocol_type;  // SyncGroup v5 and up: must be the group's
  std::optional<std::string> protocol_name;
  std::map<std::string, Bytes> assignments;  // by member id; from the leader only
};

struct GroupSyncResult {
  ErrorCode error = ErrorCode::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  Bytes assignment;
};

struct GroupHeartbeat {
  std::string group_id;
  std::string member_id;
  std::int32_t generation_id = -1;
  std::optional<std::string> group_instance_id;
};

struct GroupHeartbeatResult {
  ErrorCode error = ErrorCode::kNone;
};

struct GroupLeave {
  struct Member {
    std::string member_id;  // empty: whoever has the instance id
    std::optional<std::string> group_instance_id;
  };
  std::string group_id;
  std::vector<Member> members;
};

struct GroupLeaveResult {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    ErrorCode error = ErrorCode::kNone;
  };
  ErrorCode error = ErrorCode::kNone;  // then `members` is empty
  std::vector<Member> members;
};

// ---- Offsets -------------------------------------------------------------------------------------

/// Also the value of a record in __consumer_offsets: see offset_records.h.
struct CommittedOffset {
  Offset offset{0};
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
  WallMs commit_timestamp_ms = 0;
  std::optional<WallMs> expire_timestamp_ms;  // only if the client gave a retention time of its own
  friend bool operator==(const CommittedOffset&, const CommittedOffset&) = default;
};

struct GroupCommit {
  struct Partition {
    TopicPartition partition;
    Offset offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    std::string metadata;
  };
  std::string group_id;
  std::string member_id;
  std::int32_t generation_id = -1;  // -1: not a member; only while the group has none
  std::optional<std::string> group_instance_id;
  std::optional<std::int64_t> retention_ms;  // OffsetCommit v2 to v4
  std::vector<Partition> partitions;
};

struct PartitionError {
  TopicPartition partition;
  ErrorCode error = ErrorCode::kNone;
};

struct GroupCommitResult {
  std::vector<PartitionError> partitions;  // in the request's order
};

struct GroupOffsetDelete {
  std::string group_id;
  std::vector<TopicPartition> partitions;
};

struct GroupOffsetDeleteResult {
  ErrorCode error = ErrorCode::kNone;  // then `partitions` is empty
  std::vector<PartitionError> partitions;
};

struct GroupDeleteResult {
  ErrorCode error = ErrorCode::kNone;
};

// ---- Reads ---------------------------------------------------------------------------------------

struct GroupFetch {
  std::string group_id;
  bool require_stable = false;  // KIP-447
  std::optional<std::vector<TopicPartition>> partitions;  // nothing: all that the group has
};

struct GroupFetchResult {
  struct Partition {
    TopicPartition partition;
    ErrorCode error = ErrorCode::kNone;
    Offset offset{-1};  // -1: none is committed
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    std::string metadata;
  };
  ErrorCode error = ErrorCode::kNone;
  std::vector<Partition> partitions;
};

struct GroupDescription {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::string client_id;
    std::string client_host;
    Bytes metadata;    // empty unless the group is stable
    Bytes assignment;  // likewise
  };
  ErrorCode error = ErrorCode::kNone;
  GroupState state = GroupState::kDead;  // also of a group that there is not
  std::string protocol_type;
  std::string protocol;  // empty unless the group is stable
  std::vector<Member> members;
};

struct GroupOverview {
  std::string group_id;
  std::string protocol_type;
  GroupState state = GroupState::kEmpty;
};

struct GroupList {
  ErrorCode error = ErrorCode::kNone;  // COORDINATOR_LOAD_IN_PROGRESS: there may be more
  std::vector<GroupOverview> groups;
};

using GroupResult = std::variant<GroupJoinResult, GroupSyncResult, GroupHeartbeatResult, GroupLeaveResult,
                                 GroupCommitResult, GroupOffsetDeleteResult, GroupDeleteResult>;

}  // namespace tributary
