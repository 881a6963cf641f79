#pragma once
// The offsets of one group: what is durable, and what is on its way into the log. Internal to the folder.

#include <map>
#include <optional>
#include <vector>

#include "cluster/groups/actions.h"

namespace tributary {

/// A commit or a removal begins when its records go to the log and finishes once, when they are durable or
/// have failed. Only what is durable is visible. The log's order decides, not that of finishing.
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

  /// Durable or under way.
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
  /// Durable offsets that nothing is being done to and for which `chosen(partition, offset)`.
  template <class Chosen>
  [[nodiscard]] std::vector<TopicPartition> idle(Chosen chosen) const {
    std::vector<TopicPartition> partitions;
    for (const auto& [partition, entry] : entries_)
      if (entry.durable && entry.commits == 0 && entry.removals == 0 && chosen(partition, *entry.durable))
        partitions.push_back(partition);
    return partitions;
  }

 private:
  // Transactions (KIP-98) would keep their commits here, per producer, until the marker comes.
  struct Entry {
    std::optional<CommittedOffset> durable;
    AppendTicket newest{0};  // of the finished ones that became durable
    std::size_t commits = 0;  // under way
    std::size_t removals = 0;
  };
  using Entries = std::map<TopicPartition, Entry>;
  void drop_if_unused(Entries::iterator entry);

  Entries entries_;
};

}  // namespace tributary
