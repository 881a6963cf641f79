// "cooperative-sticky".

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "cluster/client/assignors.h"

namespace tributary {
namespace {

/// Topics that the same members subscribe to: their partitions may go wherever one of them may.
struct TopicPool {
  std::vector<std::size_t> subscribers;           // rising
  std::vector<std::vector<TopicPartition>> kept;  // of each subscriber: what it owns; from the back it is taken away
  std::vector<std::vector<TopicPartition>> fresh; // and what it is given anew; taken away first, as nothing moves then
};

class CooperativeSharing {
 public:
  CooperativeSharing(const std::vector<SubscribedMember>& members, const std::map<std::string, std::int32_t>& counts)
      : members_(members), loads_(members.size()) {
    for (std::size_t member = 0; member < members.size(); ++member)
      for (const auto& partition : members[member].owned) claims_[partition].insert(member);
    make_pools(counts);
  }

  Assignments share_out() {
    for (auto& [partition, pool] : ownerless_) give_to_least_loaded(*pool, partition);
    while (balance_once()) {}
    return withhold_what_others_claim();
  }

 private:
  void make_pools(const std::map<std::string, std::int32_t>& counts) {
    std::map<std::string, std::set<std::size_t>> subscribers;
    for (std::size_t member = 0; member < members_.size(); ++member)
      for (const auto& topic : members_[member].topics) subscribers[topic].insert(member);
    for (const auto& [topic, places] : subscribers) {
      auto& pool = pools_[places];
      pool.subscribers.assign(places.begin(), places.end());
      pool.kept.resize(places.size());
      pool.fresh.resize(places.size());
    }
    for (const auto& [topic, places] : subscribers) {
      const auto count = counts.find(topic);
      if (count == counts.end()) continue;
      for (std::int32_t index = 0; index < count->second; ++index) place({topic, PartitionIndex(index)}, pools_.at(places));
    }
    // Those that fewest may have come first: who may have others as well gets those.
    std::ranges::stable_sort(ownerless_, {}, [](const auto& entry) { return entry.second->subscribers.size(); });
  }

  void place(const TopicPartition& partition, TopicPool& pool) {
    const auto owner = owner_of(partition);
    const auto found = owner ? std::ranges::lower_bound(pool.subscribers, *owner) : pool.subscribers.end();
    if (found == pool.subscribers.end() || *found != *owner) {
      ownerless_.emplace_back(partition, &pool);
      return;
    }
    pool.kept[static_cast<std::size_t>(found - pool.subscribers.begin())].push_back(partition);
    ++loads_[*owner];
  }

  /// Whose claim counts.
  [[nodiscard]] std::optional<std::size_t> owner_of(const TopicPartition& partition) const {
    const auto claims = claims_.find(partition);
    if (claims == claims_.end()) return std::nullopt;
    std::optional<std::size_t> best;
    bool alone = true;
    for (const auto member : claims->second) {
      const auto generation = members_[member].generation;
      if (best && generation == members_[*best].generation) alone = false;
      if (best && generation <= members_[*best].generation) continue;
      best = member;
      alone = true;
    }
    return alone ? best : std::nullopt;
  }

  void give_to_least_loaded(TopicPool& pool, const TopicPartition& partition) {
    const auto least = std::ranges::min_element(pool.subscribers, {}, [&](auto member) { return loads_[member]; });
    pool.fresh[static_cast<std::size_t>(least - pool.subscribers.begin())].push_back(partition);
    ++loads_[*least];
  }

  /// Moves one partition where that helps most; false if it would not help anywhere. Each move makes the sum of the
  /// loads' squares smaller, so this ends.
  bool balance_once() {
    TopicPool* best = nullptr;
    std::size_t from = 0, to = 0;
    std::int64_t best_gap = 1;  // at which a move only swaps who has more
    for (auto& [places, pool] : pools_) {
      std::optional<std::size_t> most, least;
      for (std::size_t i = 0; i < pool.subscribers.size(); ++i) {
        const auto load = loads_[pool.subscribers[i]];
        const bool holds = !pool.kept[i].empty() || !pool.fresh[i].empty();
        if (holds && (!most || load > loads_[pool.subscribers[*most]])) most = i;
        if (!least || load < loads_[pool.subscribers[*least]]) least = i;
      }
      if (!most) continue;
      const auto gap = loads_[pool.subscribers[*most]] - loads_[pool.subscribers[*least]];
      if (gap <= best_gap) continue;
      best = &pool;
      best_gap = gap;
      from = *most;
      to = *least;
    }
    if (best == nullptr) return false;
    auto& source = best->fresh[from].empty() ? best->kept[from] : best->fresh[from];
    best->fresh[to].push_back(std::move(source.back()));
    source.pop_back();
    --loads_[best->subscribers[from]];
    ++loads_[best->subscribers[to]];
    return true;
  }

  Assignments withhold_what_others_claim() {
    Assignments assignments;
    for (const auto& member : members_) assignments[member.member_id];
    for (auto& [places, pool] : pools_) {
      for (std::size_t i = 0; i < pool.subscribers.size(); ++i) {
        auto& share = assignments[members_[pool.subscribers[i]].member_id];
        share.insert(share.end(), pool.kept[i].begin(), pool.kept[i].end());
        // What went away and came back was its own all the time.
        for (const auto& partition : pool.fresh[i])
          if (!claims_.contains(partition) || owner_of(partition) == pool.subscribers[i]) share.push_back(partition);
      }
    }
    for (auto& [member, share] : assignments) std::ranges::sort(share);
    return assignments;
  }

  const std::vector<SubscribedMember>& members_;
  std::map<TopicPartition, std::set<std::size_t>> claims_;
  std::map<std::set<std::size_t>, TopicPool> pools_;
  std::vector<std::pair<TopicPartition, TopicPool*>> ownerless_;
  std::vector<std::int64_t> loads_;  // partitions of each member
};

}  // namespace

Assignments assign_cooperatively(const std::vector<SubscribedMember>& members,
                                 const std::map<std::string, std::int32_t>& partition_counts) {
  return CooperativeSharing(members, partition_counts).share_out();
}

}  // namespace tributary
