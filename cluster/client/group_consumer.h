#pragma once
// Reads topics as a member of a consumer group: the group's members share the partitions, and it goes on where it was.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/client/consumer.h"

namespace tributary {

struct GroupConsumerOptions {
  std::string group;
  std::vector<std::string> topics;  // one that there is not is read once there is
  /// "range", "roundrobin", "cooperative-sticky": the group takes one that all its members know, by their preference.
  /// Rebalances are cooperative if each of these is of that kind, else eager, as in Kafka's Java client, which has the same
  /// default: it takes range, and allows an upgrade one member at a time. Once all members have it, restart them one by
  /// one with cooperative-sticky alone; those who have both meanwhile share their partitions out by it, eagerly.
  std::vector<std::string> assignors{"range", "cooperative-sticky"};
  /// Makes it a static member (KIP-345, `group.instance.id`): close() does not leave the group, and whoever comes with the
  /// same id within the session timeout gets the partitions that it had, without a rebalance. The same holds for a caller
  /// that stays away for `poll_interval_max`. One at a time: who comes later with the same id shuts out who was there.
  std::optional<std::string> instance_id;
  /// Where to begin if the group has committed nothing for a partition, or an offset that is not in the log (any more).
  OnOutOfRange start = OnOutOfRange::kLatest;
  Duration session_timeout = std::chrono::seconds(45);  // without heartbeats; then others get the partitions
  Duration heartbeat_interval = std::chrono::seconds(3);
  Duration poll_interval_max = std::chrono::minutes(5);  // between two polls; then others get the partitions
  Duration commit_interval = std::chrono::seconds(5);    // zero: only commit() commits, and a rebalance
  Duration topics_check_interval = std::chrono::seconds(30);
  /// `on_out_of_range` is `start`'s. `unavailable_max` holds for the group's coordinator too. `on_trouble` is told of the
  /// group's troubles as well.
  ConsumerOptions fetch;
  /// Within poll() and close(): what was got, and what was given up (or lost; then it may be others' already). Eagerly
  /// that is all each time, cooperatively only what comes and goes. A caller that keeps state for each partition stores it
  /// in on_revoked: the offsets are committed after it.
  std::function<void(const std::vector<TopicPartition>&)> on_assigned;
  std::function<void(const std::vector<TopicPartition>&)> on_revoked;
};

/// Kafka's consumer protocol, eager or cooperative (KIP-429: what does not move is read on in a rebalance), so its group
/// may have members of Java, librdkafka and others.
///
/// Delivery is at least once: what poll() gave is committed when the caller asks for more (at the next interval, and
/// before partitions are given up), or says commit(). After a crash, or when partitions were lost because the session
/// ended, what was not committed yet is delivered again, to whoever has the partition then.
///
/// One thread at a time; a thread of its own heartbeats meanwhile. The client must outlive it.
class GroupConsumer {
 public:
  /// Does not wait for the group. kInvalidArgument: no group or topic, or an unknown assignor.
  [[nodiscard]] static Result<std::unique_ptr<GroupConsumer>> create(ClusterClient& client, GroupConsumerOptions options);
  /// As close(), within a second.
  ~GroupConsumer();
  GroupConsumer(const GroupConsumer&) = delete;
  GroupConsumer& operator=(const GroupConsumer&) = delete;

  /// Joins the group, takes part in its rebalances, and gives batches as Consumer::poll does: in offset order within
  /// each partition; none if none came in `timeout`. Call it again and again.
  /// Errors: as Consumer::poll; kUnavailable also if there was no coordinator for `fetch.unavailable_max`; what the
  /// coordinator refuses for good (kInvalidArgument with Kafka's name: another protocol, a session timeout out of
  /// range; kFenced: another came with this instance_id, FENCED_INSTANCE_ID). After the latter every poll gives the same
  /// error, after others it may be called again.
  [[nodiscard]] Result<std::vector<ConsumedBatch>> poll(Duration timeout);

  /// Commits all that poll() has given: the caller is done with it. Returns when it is durable.
  /// In a cooperative rebalance that is when it is over. kFenced: partitions have gone to others meanwhile, who may read
  /// the same again; poll() tells which. kUnavailable, kTimeout: it may have been committed or not.
  [[nodiscard]] Result<> commit(Duration timeout);
  /// Commits these offsets (of the next record to read) of partitions that are assigned, in place of those. Until the
  /// caller polls again nothing else is committed.
  [[nodiscard]] Result<> commit(const std::map<TopicPartition, Offset>& offsets, Duration timeout);

  /// Whether the group has given it its share, which may be none. Changes in poll() and close() only.
  [[nodiscard]] bool joined() const;
  /// What it reads at present; changes in poll() and close() only.
  [[nodiscard]] std::vector<TopicPartition> assignment() const;
  /// In which it was given them; none if it has not joined. A rebalance has another one.
  [[nodiscard]] GenerationId generation() const;
  /// Of the next record that poll will deliver; the partition must be assigned.
  [[nodiscard]] Offset position(const TopicPartition& partition) const;

  /// Leaves the group, so that others go on at once; a static member's place is kept instead. What poll() gave last is
  /// not committed (say commit() before), what it gave earlier is. Nothing else may be called afterwards.
  void close(Duration timeout);

 private:
  struct Impl;
  explicit GroupConsumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
