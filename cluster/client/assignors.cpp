#include "cluster/client/assignors.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "common/base/check.h"

namespace tributary {
namespace {

bool rises(const SubscribedMember* a, const SubscribedMember* b) {
  if (a->instance_id.has_value() != b->instance_id.has_value()) return a->instance_id.has_value();
  return std::tie(a->instance_id, a->member_id) < std::tie(b->instance_id, b->member_id);
}

std::vector<const SubscribedMember*> in_rising_order(const std::vector<SubscribedMember>& members) {
  std::vector<const SubscribedMember*> ordered;
  for (const auto& member : members) ordered.push_back(&member);
  std::ranges::sort(ordered, rises);
  return ordered;
}

/// Subscribers of each topic, by their place in the order.
using Subscribers = std::map<std::string, std::set<std::size_t>>;

Subscribers subscribers_of(const std::vector<const SubscribedMember*>& ordered) {
  Subscribers subscribers;
  for (std::size_t place = 0; place < ordered.size(); ++place)
    for (const auto& topic : ordered[place]->topics) subscribers[topic].insert(place);
  return subscribers;
}

/// By place in the order.
using Shares = std::vector<std::vector<TopicPartition>>;

std::int32_t count_of(const std::map<std::string, std::int32_t>& counts, const std::string& topic) {
  const auto found = counts.find(topic);
  return found == counts.end() ? 0 : found->second;
}

void assign_ranges(Shares& shares, const Subscribers& subscribers, const std::map<std::string, std::int32_t>& counts) {
  for (const auto& [topic, members] : subscribers) {
    const auto partitions = count_of(counts, topic), readers = static_cast<std::int32_t>(members.size());
    std::int32_t next = 0, place = 0;
    for (const auto member : members) {
      const auto share = partitions / readers + (place++ < partitions % readers ? 1 : 0);
      for (const auto end = next + share; next < end; ++next) shares[member].push_back({topic, PartitionIndex(next)});
    }
  }
}

void assign_in_turn(Shares& shares, const Subscribers& subscribers, const std::map<std::string, std::int32_t>& counts) {
  std::size_t turn = 0;
  const auto next = [&] { turn = (turn + 1) % shares.size(); };
  for (const auto& [topic, members] : subscribers) {
    for (std::int32_t index = 0; index < count_of(counts, topic); ++index) {
      while (!members.contains(turn)) next();
      shares[turn].push_back({topic, PartitionIndex(index)});
      next();
    }
  }
}

bool is_cooperative(std::string_view assignor) { return assignor == kCooperativeSticky; }

}  // namespace

bool is_assignor(std::string_view name) { return name == kRange || name == kRoundRobin || name == kCooperativeSticky; }

bool all_cooperative(const std::vector<std::string>& assignors) { return std::ranges::all_of(assignors, is_cooperative); }

Assignments assign_partitions(std::string_view assignor, const std::vector<SubscribedMember>& members,
                              const std::map<std::string, std::int32_t>& partition_counts) {
  CHECK(is_assignor(assignor), "\"{}\" is an assignor", assignor);
  if (assignor == kCooperativeSticky) return assign_cooperatively(members, partition_counts);
  const auto ordered = in_rising_order(members);
  const auto subscribers = subscribers_of(ordered);
  Shares shares(ordered.size());
  if (assignor == kRange) assign_ranges(shares, subscribers, partition_counts);
  else assign_in_turn(shares, subscribers, partition_counts);
  Assignments assignments;
  for (std::size_t place = 0; place < ordered.size(); ++place)
    assignments[ordered[place]->member_id] = std::move(shares[place]);
  return assignments;
}

}  // namespace tributary
