#pragma once
// One consumer group of Kafka's classic protocol: who its members are, what each of them is to read, and how
// far they have read. Internal to the folder and its tests; others use coordinator.h.
//
// Source: Kafka's GroupCoordinator and GroupMetadata (3.x); KIP-62 (rebalance and session timeouts), 134
// (initial delay), 211 (expiry of offsets), 345 (static members), 389 (largest size), 394 (member id required),
// 447 (stable offsets), 814 (skipped assignment).

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cluster/groups/actions.h"
#include "cluster/groups/group_types.h"
#include "cluster/groups/members.h"
#include "cluster/groups/offset_records.h"
#include "cluster/groups/offsets.h"
#include "common/env/random.h"

namespace tributary {

/// Pure: no clock, thread, file or randomness of its own. One thread; `now.mono` never goes back.
///
/// Empty -> PreparingRebalance -> CompletingRebalance -> Stable, and from each of these back to
/// PreparingRebalance; PreparingRebalance -> Empty when nobody is left; Empty -> Dead while its records are being
/// removed. A new generation begins with CompletingRebalance or Empty. In Empty there are no members.
///
/// Every token is answered exactly once: at once, when the others have joined, when the leader has synced, when
/// records are durable, when the member is removed, or by unload().
class Group {
 public:
  /// `options`, `random` and `actions` outlive it. `partition` is the group's in __consumer_offsets.
  Group(std::string id, std::int32_t partition, const GroupOptions& options, Random& random, GroupActions& actions,
        Moment now);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// What the log has of it; before anything else. Every member gets a session timeout to be heard of.
  void restore(Moment now, const GroupMetadataValue& value);
  void restore_offset(const TopicPartition& partition, CommittedOffset offset);

  void join(Moment now, ReplyToken token, GroupJoin request);
  void sync(Moment now, ReplyToken token, GroupSync request);
  void heartbeat(Moment now, ReplyToken token, const GroupHeartbeat& request);
  void leave(Moment now, ReplyToken token, const GroupLeave& request);
  void connection_lost(Moment now, const std::string& member_id, ReplyToken last);
  void commit(Moment now, ReplyToken token, const GroupCommit& request);
  void delete_offsets(ReplyToken token, const GroupOffsetDelete& request);
  void delete_group(ReplyToken token);

  [[nodiscard]] GroupFetchResult fetch(const GroupFetch& request) const;
  [[nodiscard]] GroupDescription describe() const;
  [[nodiscard]] GroupOverview overview() const;

  /// A ticket of this group's that was neither completed before nor lost by unload().
  void appended(Moment now, AppendTicket ticket, ErrorCode error);
  /// At next_deadline() at the latest.
  void tick(Moment now);
  /// May come early (a heartbeat moves only what it is about), never late; after a tick it is in the future.
  [[nodiscard]] MonoTime next_deadline() const { return wake_at_; }

  /// Begins to remove the offsets that have been unused for the retention time (KIP-211), and the group itself
  /// if nobody is in it and none is left.
  void expire_offsets(Moment now);
  void remove_topic(const std::string& topic);
  /// Adds those that it has offsets of.
  void collect_topics(std::set<std::string>& topics) const;

  /// Another broker coordinates it from now on: what waits is answered with NOT_COORDINATOR. The last call.
  void unload();
  /// Nothing of it is in the log, in memory or on its way: it can be forgotten.
  [[nodiscard]] bool gone() const;

  [[nodiscard]] GroupState state() const { return state_; }

 private:
  /// Less would have the group give up and begin again in a loop while a static member is away.
  static constexpr std::int32_t kRebalanceTimeoutMinMs = 100;

  // A seam: transactional commits (KIP-98) would be one more kind of write, whose offsets become visible with
  // the transaction's marker instead of in appended().
  struct AssignmentWrite {  // by the leader's sync
    std::int32_t generation = 0;
    std::map<std::string, Bytes> assignments;
  };
  struct StaticWrite {  // a static member has come back under a new id
    ReplyToken token;
    std::string instance_id;
    std::string new_id;
    std::string former_leader;
    bool can_skip_assignment = false;
    GroupMember former;  // as it was
  };
  struct EmptyWrite {};  // nobody is left
  struct CommitWrite {
    struct Item {
      std::size_t position = 0;  // in the result
      CommittedOffset offset;
    };
    ReplyToken token;
    GroupCommitResult result;
    std::vector<Item> items;
  };
  struct Removal {
    std::optional<ReplyToken> token;
    std::variant<GroupDeleteResult, GroupOffsetDeleteResult> result;
    bool whole_group = false;
    std::size_t writes = 0;  // under way
    ErrorCode error = ErrorCode::kNone;
  };
  struct RemovalWrite {
    std::shared_ptr<Removal> removal;
    std::vector<TopicPartition> partitions;
  };
  using Write = std::variant<AssignmentWrite, StaticWrite, EmptyWrite, CommitWrite, RemovalWrite>;

  // group.cpp
  void transition(Moment now, GroupState state);
  void touch(Moment now, GroupMember& member);
  void schedule(MonoTime at) { wake_at_ = std::min(wake_at_, at); }
  void recompute_wake();
  [[nodiscard]] ErrorCode member_error(const std::string& member_id, const std::optional<std::string>& instance_id);
  void answer_join(GroupMember& member, GroupJoinResult result);
  void answer_sync(GroupMember& member, GroupSyncResult result);
  [[nodiscard]] std::optional<std::string> mid_rebalance(const std::string& member_id, ReplyToken request);
  void remove_member(Moment now, const std::string& member_id);
  ErrorCode leave_one(Moment now, const GroupLeave::Member& leaving);
  void expire_members(Moment now);

  // group_join.cpp
  [[nodiscard]] bool has_room_for(const GroupJoin& request);
  void join_new(Moment now, ReplyToken token, GroupJoin request);
  void join_known(Moment now, ReplyToken token, GroupJoin request);
  void add_member(Moment now, ReplyToken token, GroupJoin request, const std::string& id);
  void update_member(GroupMember& member, ReplyToken token, GroupJoin request);
  void replace_static(Moment now, ReplyToken token, GroupJoin request, GroupMember& member, const std::string& new_id);
  void done(Moment now, StaticWrite write, ErrorCode error);
  [[nodiscard]] std::string new_member_id(const std::string& prefix);
  [[nodiscard]] GroupJoinResult generation_for(const GroupMember& member) const;

  // group_rebalance.cpp
  void prepare_rebalance(Moment now);
  void maybe_complete_join(Moment now);
  void complete_join(Moment now);
  void begin_generation(Moment now);
  void give_up_syncs(Moment now, ErrorCode error);
  void sync_received(GroupMember& member);
  void expire_syncs(Moment now);
  void store_assignment(std::map<std::string, Bytes> assignments);
  void done(Moment now, AssignmentWrite write, ErrorCode error);
  [[nodiscard]] OffsetsRecord metadata_record(const std::map<std::string, Bytes>& assignments) const;
  void write(std::vector<OffsetsRecord> records, Write what);

  // group_offsets.cpp
  void refuse_too_large(ReplyToken token, const GroupCommit& request);
  [[nodiscard]] ErrorCode commit_error(const GroupCommit& request);
  [[nodiscard]] bool subscribed_to(const std::string& topic) const;
  [[nodiscard]] std::vector<TopicPartition> expired_offsets(Moment now) const;
  void remove(std::vector<TopicPartition> partitions, std::shared_ptr<Removal> removal);
  void finish(const Removal& removal);
  void done(AppendTicket ticket, CommitWrite write, ErrorCode error);
  void done(AppendTicket ticket, RemovalWrite write, ErrorCode error);
  void drop_writes();

  const std::string id_;
  const std::int32_t partition_;
  const GroupOptions& options_;
  Random& random_;
  GroupActions& actions_;

  GroupState state_ = GroupState::kEmpty;
  WallMs state_since_ms_;  // -1: not known
  std::int32_t generation_ = 0;
  std::optional<std::string> protocol_;  // of this generation
  GroupMembers members_;
  struct HandedOut {
    MonoTime expires_at{};
    ReplyToken told;  // the join whose answer it was
  };
  std::map<std::string, HandedOut> handed_out_;  // member ids not yet used (KIP-394)
  /// Of a consumer group's generation; nothing: not known.
  std::optional<std::set<std::string>> topics_;

  // While preparing: when it goes on without those who have not joined.
  MonoTime join_deadline_ = MonoTime::max();
  bool initial_ = false;           // it was empty: wait for more members (KIP-134)
  bool initial_joined_ = false;    // one came during the current delay
  std::int64_t initial_left_ms_ = 0;
  // While completing or stable: when those who have not synced are removed.
  MonoTime sync_deadline_ = MonoTime::max();
  std::int32_t storing_generation_ = 0;  // whose assignment is on its way into the log; 0: none

  GroupOffsets offsets_;
  std::map<AppendTicket, Write> writes_;
  bool in_log_ = false;   // its metadata may be there
  bool removed_ = false;  // and now it is not
  MonoTime wake_at_ = MonoTime::max();
};

}  // namespace tributary
