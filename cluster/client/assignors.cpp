#include "cluster/client/assignors.h"

#include <algorithm>
#include <set>

#include "common/base/check.h"

namespace tributary {
namespace {

constexpr std::string_view kRange = "range", kRoundRobin = "roundrobin";

/// Subscribers of each topic, in rising order.
std::map<std::string, std::set<std::string>> subscribers_of(const std::vector<SubscribedMember>& members) {
  std::map<std::string, std::set<std::string>> subscribers;
  for (const auto& member : members)
    for (const auto& topic : member.topics) subscribers[topic].insert(member.member_id);
  return subscribers;
}

std::int32_t count_of(const std::map<std::string, std::int32_t>& counts, const std::string& topic) {
  const auto found = counts.find(topic);
  return found == counts.end() ? 0 : found->second;
}

void assign_ranges(Assignments& assignments, const std::map<std::string, std::set<std::string>>& subscribers,
                   const std::map<std::string, std::int32_t>& counts) {
  for (const auto& [topic, members] : subscribers) {
    const auto partitions = count_of(counts, topic), readers = static_cast<std::int32_t>(members.size());
    std::int32_t next = 0, place = 0;
    for (const auto& member : members) {
      const auto share = partitions / readers + (place++ < partitions % readers ? 1 : 0);
      for (const auto end = next + share; next < end; ++next)
        assignments[member].push_back({topic, PartitionIndex(next)});
    }
  }
}

void assign_in_turn(Assignments& assignments, const std::map<std::string, std::set<std::string>>& subscribers,
                    const std::map<std::string, std::int32_t>& counts) {
  auto turn = assignments.begin();
  const auto next = [&] { turn = std::next(turn) == assignments.end() ? assignments.begin() : std::next(turn); };
  for (const auto& [topic, members] : subscribers) {
    for (std::int32_t index = 0; index < count_of(counts, topic); ++index) {
      while (!members.contains(turn->first)) next();
      turn->second.push_back({topic, PartitionIndex(index)});
      next();
    }
  }
}

}  // namespace

bool is_assignor(std::string_view name) { return name == kRange || name == kRoundRobin; }

Assignments assign_partitions(std::string_view assignor, const std::vector<SubscribedMember>& members,
                              const std::map<std::string, std::int32_t>& partition_counts) {
  CHECK(is_assignor(assignor), "\"{}\" is an assignor", assignor);
  Assignments assignments;
  for (const auto& member : members) assignments[member.member_id];
  const auto subscribers = subscribers_of(members);
  if (assignor == kRange) assign_ranges(assignments, subscribers, partition_counts);
  else assign_in_turn(assignments, subscribers, partition_counts);
  return assignments;
}

}  // namespace tributary
