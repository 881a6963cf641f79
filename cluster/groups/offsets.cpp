#include "cluster/groups/offsets.h"

#include "common/base/check.h"

namespace tributary {

const CommittedOffset* GroupOffsets::find(const TopicPartition& partition) const {
  const auto found = entries_.find(partition);
  return found == entries_.end() || !found->second.durable ? nullptr : &*found->second.durable;
}

bool GroupOffsets::unstable(const TopicPartition& partition) const {
  const auto found = entries_.find(partition);
  return found != entries_.end() && found->second.commits > 0;
}

void GroupOffsets::restore(const TopicPartition& partition, CommittedOffset offset) {
  entries_[partition].durable = std::move(offset);
}

void GroupOffsets::begin_commit(const TopicPartition& partition) { ++entries_[partition].commits; }

void GroupOffsets::finish_commit(const TopicPartition& partition, AppendTicket ticket, const CommittedOffset& offset,
                                 bool durable) {
  const auto found = entries_.find(partition);
  CHECK(found != entries_.end() && found->second.commits > 0, "no commit of {} is under way", partition);
  auto& entry = found->second;
  --entry.commits;
  if (durable && ticket >= entry.newest) {
    entry.newest = ticket;
    if (ticket >= entry.from) {
      entry.durable = offset;
      entry.left_over = false;
    }
  }
  drop_if_unused(found);
}

void GroupOffsets::begin_removal(const TopicPartition& partition) { ++entries_[partition].removals; }

void GroupOffsets::finish_removal(const TopicPartition& partition, AppendTicket ticket, bool durable) {
  const auto found = entries_.find(partition);
  CHECK(found != entries_.end() && found->second.removals > 0, "no removal of {} is under way", partition);
  auto& entry = found->second;
  --entry.removals;
  if (durable && ticket >= entry.newest) {
    entry.newest = ticket;
    entry.durable.reset();
    if (ticket >= entry.from) entry.left_over = false;
  }
  drop_if_unused(found);
}

void GroupOffsets::topic_deleted(const TopicPartition& partition, AppendTicket from) {
  auto& entry = entries_.at(partition);
  entry.durable.reset();
  entry.from = from;
  entry.left_over = true;
}

std::vector<TopicPartition> GroupOffsets::partitions_of(const std::string& topic) const {
  std::vector<TopicPartition> partitions;
  for (auto entry = entries_.lower_bound({topic, PartitionIndex(INT32_MIN)});
       entry != entries_.end() && entry->first.topic == topic; ++entry)
    partitions.push_back(entry->first);
  return partitions;
}

std::vector<TopicPartition> GroupOffsets::partitions() const {
  std::vector<TopicPartition> partitions;
  partitions.reserve(entries_.size());
  for (const auto& [partition, entry] : entries_) partitions.push_back(partition);
  return partitions;
}

void GroupOffsets::drop_if_unused(Entries::iterator entry) {
  const auto& [durable, newest, from, left_over, commits, removals] = entry->second;
  if (!durable && !left_over && commits == 0 && removals == 0) entries_.erase(entry);
}

}  // namespace tributary
