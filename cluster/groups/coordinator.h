#pragma once
// Kafka's classic group coordinator: all groups of the partitions of __consumer_offsets that this broker leads.
// The folder's entrance.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/groups/actions.h"
#include "cluster/groups/group_types.h"
#include "common/base/result.h"
#include "common/env/random.h"

namespace tributary {

class Group;

/// Pure: no clock, thread, socket, file or randomness of its own. One thread; `now.mono` never goes back.
///
/// Use: call what has happened, then take_actions() and carry them out in order; call tick() at next_deadline().
/// Every token is answered by exactly one GroupReply, now or later; every ticket of a GroupAppend wants exactly
/// one appended(), in any order. What a reply promises (an assignment, a commit, a removal) is durable by then,
/// and visible from then on; what failed or was never answered may or may not come back with the log.
///
/// A partition is unloaded, loading, or loaded; only a loaded one's groups are served. A group without members,
/// offsets and records is forgotten by itself.
///
/// Otherwise than in Kafka 3.x: a deletion is answered, and an offset gone, when its tombstone is durable, and
/// meanwhile a group that goes is Dead; a deleted topic's offsets are gone at once, and their tombstones tried until
/// they are in the log; a static member that comes back for other topics starts a rebalance, and a full group takes it
/// back; a join or sync that its member has repeated is answered with REBALANCE_IN_PROGRESS,
/// and the sync of a member that is removed with UNKNOWN_MEMBER_ID, where Kafka leaves them open; a dynamic member
/// whose connection ends while it joins or syncs is removed at once, where Kafka counts it in (docs/decisions/010).
///
/// A seam: KIP-848's groups (ConsumerGroupHeartbeat) would live in the same partitions beside these, found by the
/// same ids, with record keys of version 3 and up; a group id is of one kind at a time.
class GroupCoordinator {
 public:
  /// `random` outlives it.
  GroupCoordinator(GroupOptions options, Random& random, Moment now);
  GroupCoordinator(const GroupCoordinator&) = delete;
  GroupCoordinator& operator=(const GroupCoordinator&) = delete;
  ~GroupCoordinator();

  [[nodiscard]] std::int32_t partition_of(std::string_view group_id) const;

  // ---- Partitions. `partition` is in [0, offsets_partitions).

  /// From unloaded only. Then all records of the log in its order, among them those of earlier appends.
  void start_loading(std::int32_t partition);
  /// kCorrupt, kUnsupported or kInvalidArgument (a group of another partition): log it and go on with the next.
  /// `value`: nothing for a tombstone.
  [[nodiscard]] Result<> load_record(std::int32_t partition, ByteView key, std::optional<ByteView> value);
  /// Members that were in the log get a session timeout to be heard of.
  void finish_loading(Moment now, std::int32_t partition);
  /// From any state. All that waits is answered with NOT_COORDINATOR, whatever becomes of its records; tickets
  /// not completed yet mean nothing any more.
  void unload(std::int32_t partition);

  // ---- Requests, each answered through its token.

  void join(Moment now, ReplyToken token, GroupJoin request);
  void sync(Moment now, ReplyToken token, GroupSync request);
  void heartbeat(Moment now, ReplyToken token, const GroupHeartbeat& request);
  void leave(Moment now, ReplyToken token, const GroupLeave& request);
  void commit(Moment now, ReplyToken token, const GroupCommit& request);
  void delete_offsets(ReplyToken token, const GroupOffsetDelete& request);
  void delete_group(ReplyToken token, const std::string& group_id);

  // ---- Reads, answered at once.

  [[nodiscard]] GroupFetchResult fetch(const GroupFetch& request) const;
  /// A group that there is not is Dead, without an error (DescribeGroups before v6).
  [[nodiscard]] GroupDescription describe(const std::string& group_id) const;
  /// Of the loaded partitions. `states`: names in any case; none: all groups.
  [[nodiscard]] GroupList list(const std::vector<std::string>& states = {}) const;

  // ---- What else happens.

  /// `error`: kNone, or what the log said. A ticket that unload() has made void is ignored.
  void appended(Moment now, AppendTicket ticket, ErrorCode error);
  /// The connection has ended on which this join or sync came, whether it has been answered or not; `member_id` as it
  /// was in the request. If it is the last step of a dynamic member that has not got its assignment yet, that member is
  /// removed as if it had left; an id that was handed out with it is void. For all others nothing changes: while their
  /// session lasts they may come back on another connection.
  void connection_lost(Moment now, const std::string& group_id, const std::string& member_id, ReplyToken last);
  /// Removes the offsets that groups have committed to it, also those of commits under way.
  void topic_deleted(const std::string& topic);
  /// Which topics the groups of a loaded partition have offsets of: one may have been deleted while nobody was told.
  [[nodiscard]] std::set<std::string> committed_topics(std::int32_t partition) const;
  void tick(Moment now);
  /// MonoTime::max() if nothing is to come. May be earlier than needed; after a tick it is in the future.
  [[nodiscard]] MonoTime next_deadline() const;

  [[nodiscard]] std::vector<GroupAction> take_actions() { return actions_.take(); }
  [[nodiscard]] std::size_t group_count() const;

 private:
  enum class Load { kUnloaded, kLoading, kLoaded };
  struct Slot {
    std::unique_ptr<Group> group;
    MonoTime wake_at = MonoTime::max();  // under which it is in wakes_
  };
  struct Staged {  // of a partition that is loading
    std::optional<GroupMetadataValue> metadata;
    std::map<TopicPartition, CommittedOffset> offsets;
  };
  struct Partition {
    Load load = Load::kUnloaded;
    std::map<std::string, Slot> groups;
    std::map<std::string, Staged> staged;
  };
  enum class EmptyId { kAllowed, kRefused };

  [[nodiscard]] Partition& at(std::int32_t partition);
  [[nodiscard]] const Partition& at(std::int32_t partition) const;
  /// Why requests of this group are not served here.
  [[nodiscard]] ErrorCode refusal(const std::string& group_id, EmptyId empty) const;
  /// nullptr: there is no such group.
  [[nodiscard]] const Group* find(const std::string& group_id) const;
  [[nodiscard]] Slot* slot(std::int32_t partition, const std::string& group_id);
  [[nodiscard]] Slot* slot(const std::string& group_id) { return slot(partition_of(group_id), group_id); }
  Slot& create(Moment now, const std::string& group_id);
  /// After every call into a group: its deadline may have changed, or it may be gone.
  void settle(std::int32_t partition, const std::string& group_id, Slot& slot);
  void settle(const std::string& group_id, Slot& slot) { settle(partition_of(group_id), group_id, slot); }
  [[nodiscard]] std::vector<std::pair<std::int32_t, std::string>> all_groups() const;

  const GroupOptions options_;
  Random& random_;
  GroupActions actions_;
  std::vector<Partition> partitions_;
  std::set<std::pair<MonoTime, std::string>> wakes_;  // of groups, by their deadline
  MonoTime expiry_at_;  // when offsets are looked through next
};

}  // namespace tributary
