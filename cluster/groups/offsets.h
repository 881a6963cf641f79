#pragma once
// The offsets of one group: what is durable, and what is on its way into the log. Internal to the folder.

#include <map>
#include <optional>
#include <vector>

#include "cluster/groups/actions.h"

namespace tributary {

/// A commit or a removal begins when its records go to the log and finishes once, when they are durable or
/// have failed. Only what is durable is visible. The log's order decides, not that of finishing.
///
/// What was committed to a topic that is deleted is not visible from then on, whatever becomes of its tombstone: the
/// name may be given again. Until a tombstone, or a newer commit, is durable it is left over in the log.
class GroupOffsets {
 public:
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// nullptr if nothing durable is there.
  [[nodiscard]] const CommittedOffset* find(const TopicPartition& partition) const;
  /// A commit to this partition is under way.
  [[nodiscard]] bool unstable(const TopicPartition& partition) const;

  void restore(const TopicPartition& partition, CommittedOffset offset);
  void begin_commit(const TopicPartition& partition);
  void finish_commit(const TopicPartition& partition, AppendTicket ticket, const CommittedOffset& offset, bool durable);
  void begin_removal(const TopicPartition& partition);
  void finish_removal(const TopicPartition& partition, AppendTicket ticket, bool durable);
  /// Of a partition that it has: its topic was deleted. Appends from the ticket `from` on are of a later topic.
  void topic_deleted(const TopicPartition& partition, AppendTicket from);

  /// Durable, under way, or left over.
  [[nodiscard]] bool has(const TopicPartition& partition) const { return entries_.contains(partition); }
  /// All of `has`.
  [[nodiscard]] std::vector<TopicPartition> partitions() const;
  [[nodiscard]] std::vector<TopicPartition> partitions_of(const std::string& topic) const;

  /// Calls visit(partition, offset) for all that is durable.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [partition, entry] : entries_)
      if (entry.durable) visit(partition, *entry.durable);
  }
  /// Offsets that nothing is being done to: the durable ones for which `chosen(partition, offset)`, and what is left over.
  template <class Chosen>
  [[nodiscard]] std::vector<TopicPartition> idle(Chosen chosen) const {
    std::vector<TopicPartition> partitions;
    for (const auto& [partition, entry] : entries_)
      if (entry.commits == 0 && entry.removals == 0 &&
          (entry.durable ? chosen(partition, *entry.durable) : entry.left_over))
        partitions.push_back(partition);
    return partitions;
  }

 private:
  // Transactions (KIP-98) would keep their commits here, per producer, until the marker comes.
  struct Entry {
    std::optional<CommittedOffset> durable;
    AppendTicket newest{0};  // of the finished ones that became durable
    AppendTicket from{0};    // of the topic that there is now; smaller ones are a former topic's
    bool left_over = false;  // the log may have an offset of a former topic
    std::size_t commits = 0;  // under way
    std::size_t removals = 0;
  };
  using Entries = std::map<TopicPartition, Entry>;
  void drop_if_unused(Entries::iterator entry);

  Entries entries_;
};

}  // namespace tributary
