#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cluster/client/assignors.h"
#include "common/env/random.h"
#include "tests/support/programs.h"

namespace tributary {
namespace {

using Counts = std::map<std::string, std::int32_t>;

std::vector<TopicPartition> of_t(std::vector<std::int32_t> indexes) {
  std::vector<TopicPartition> all;
  for (const auto index : indexes) all.push_back({"t", PartitionIndex(index)});
  return all;
}

SubscribedMember member(const std::string& id, std::vector<TopicPartition> owned = {}, std::int32_t generation = -1,
                        std::vector<std::string> topics = {"t"}) {
  return {id, std::move(topics), std::nullopt, std::move(owned), GenerationId(generation)};
}

TEST(CooperativeAssignor, ANewGroupSharesEvenly) {
  EXPECT_EQ(assign_cooperatively({member("a"), member("b")}, {{"t", 3}}),
            (Assignments{{"a", of_t({0, 2})}, {"b", of_t({1})}}));
}

TEST(CooperativeAssignor, ANewMemberGetsNothingUntilItWasGivenUp) {
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 1, 2, 3}), 1), member("b")}, {{"t", 4}}),
            (Assignments{{"a", of_t({0, 1})}, {"b", {}}}));
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 1}), 2), member("b", {}, 2)}, {{"t", 4}}),
            (Assignments{{"a", of_t({0, 1})}, {"b", of_t({2, 3})}}));
}

TEST(CooperativeAssignor, TheClaimOfTheHigherGenerationCounts) {
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 1}), 4), member("b", of_t({1}), 5)}, {{"t", 2}}),
            (Assignments{{"a", of_t({0})}, {"b", of_t({1})}}));
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 1})), member("b", of_t({1}), 5)}, {{"t", 2}}),
            (Assignments{{"a", of_t({0})}, {"b", of_t({1})}})) << "one that does not say is older than any";
}

TEST(CooperativeAssignor, EqualClaimsMustBothBeGivenUp) {
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 1}), 5), member("b", of_t({1, 2}), 5)}, {{"t", 3}}),
            (Assignments{{"a", of_t({0})}, {"b", of_t({2})}}));
}

TEST(CooperativeAssignor, WhatAMemberClaimsAndDoesNotReadAnyMoreIsWithheldToo) {
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0}), 5, {"u"}), member("b", {}, 5)}, {{"t", 2}}),
            (Assignments{{"a", {}}, {"b", of_t({1})}}));
}

TEST(CooperativeAssignor, PartitionsThatThereAreNotAreNobodys) {
  EXPECT_EQ(assign_cooperatively({member("a", of_t({0, 7}), 5, {"t", "none"})}, {{"t", 1}}), (Assignments{{"a", of_t({0})}}));
  EXPECT_TRUE(assign_cooperatively({}, {{"t", 1}}).empty());
}

TEST(CooperativeAssignor, WhoMayHaveLittleGetsThat) {
  EXPECT_EQ(assign_cooperatively({member("a", {}, -1, {"t", "u"}), member("b")}, {{"t", 2}, {"u", 2}}),
            (Assignments{{"a", {{"u", PartitionIndex(0)}, {"u", PartitionIndex(1)}}}, {"b", of_t({0, 1})}}));
}

// ---- Random groups

/// A group whose members do what they are told: they give up what was taken away, then there is another generation.
class RandomGroup {
 public:
  explicit RandomGroup(std::uint64_t seed, bool equal_subscriptions) : random_(seed), equal_(equal_subscriptions) {
    const auto topics = 1 + random_.below(4);
    for (std::uint64_t i = 0; i < topics; ++i) counts_["t" + std::to_string(i)] = static_cast<std::int32_t>(random_.below(20));
  }

  void add_member() {
    SubscribedMember fresh{"m" + std::to_string(random_.below(1000)) + "-" + std::to_string(next_++), {}};
    for (const auto& [topic, count] : counts_)
      if (equal_ || random_.below(2) == 0) fresh.topics.push_back(topic);
    members_.push_back(std::move(fresh));
  }
  void remove_member() {
    if (!members_.empty()) members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(random_.below(members_.size())));
  }
  void add_partitions() { counts_.begin()->second += static_cast<std::int32_t>(random_.below(5)); }

  /// Some older claim comes back: of a member that was away.
  void confuse() {
    if (members_.size() < 2) return;
    auto& stale = members_[random_.below(members_.size())];
    const auto& victim = members_[random_.below(members_.size())];
    if (victim.owned.empty() || &stale == &victim) return;
    stale.owned.push_back(victim.owned.front());
    if (random_.below(2) == 0) stale.generation = GenerationId(generation_ - 1);
  }

  /// How many owned partitions were taken away until nothing changes any more.
  std::int64_t settle() {
    std::int64_t moved = 0;
    for (int rounds = 0;; ++rounds) {
      EXPECT_LE(rounds, 3) << "it does not settle";
      if (rounds > 3) return moved;
      const auto assignments = assign_cooperatively(members_, counts_);
      expect_nobody_gets_what_another_claims(assignments);
      ++generation_;
      bool given_up = false;
      for (auto& member : members_) {
        const auto& share = assignments.at(member.member_id);
        const auto kept = std::ranges::count_if(
            member.owned, [&](const auto& one) { return std::ranges::binary_search(share, one); });
        given_up = given_up || kept != std::ssize(member.owned);
        moved += std::ssize(member.owned) - kept;
        member.owned = share;
        member.generation = GenerationId(generation_);
      }
      if (!given_up) return moved;
    }
  }

  void expect_nobody_gets_what_another_claims(const Assignments& assignments) const {
    std::map<TopicPartition, std::string> given;
    for (const auto& [id, share] : assignments)
      for (const auto& partition : share)
        EXPECT_TRUE(given.emplace(partition, id).second) << fmt::format("{} is given twice", partition);
    for (const auto& claimant : members_) {
      for (const auto& partition : claimant.owned) {
        const auto to = given.find(partition);
        if (to == given.end() || to->second == claimant.member_id) continue;
        const auto& receiver = *std::ranges::find(members_, to->second, &SubscribedMember::member_id);
        EXPECT_TRUE(std::ranges::find(receiver.owned, partition) != receiver.owned.end() &&
                    receiver.generation > claimant.generation)
            << fmt::format("{} goes to {}, but {} has it", partition, to->second, claimant.member_id);
      }
    }
  }
  void expect_each_partition_at_one_subscriber() const {
    for (const auto& [topic, count] : counts_) {
      const auto subscribes = [&](const auto& each) { return std::ranges::find(each.topics, topic) != each.topics.end(); };
      const bool wanted = std::ranges::any_of(members_, subscribes);
      for (std::int32_t index = 0; index < count; ++index) {
        int owners = 0;
        for (const auto& each : members_) {
          if (std::ranges::find(each.owned, TopicPartition{topic, PartitionIndex(index)}) == each.owned.end()) continue;
          ++owners;
          EXPECT_TRUE(subscribes(each));
        }
        EXPECT_EQ(owners, wanted ? 1 : 0) << topic << "-" << index;
      }
    }
  }
  void expect_balance() const {
    for (const auto& richer : members_) {
      for (const auto& partition : richer.owned) {
        for (const auto& poorer : members_) {
          if (std::ranges::find(poorer.topics, partition.topic) == poorer.topics.end()) continue;
          EXPECT_LE(std::ssize(richer.owned), std::ssize(poorer.owned) + 1) << richer.member_id << " " << poorer.member_id;
        }
      }
    }
  }
  /// The fewest that can be taken away so that it is even: all above the larger share, and above the smaller one where
  /// more members have the larger share than there are.
  [[nodiscard]] std::int64_t fewest_moves() const {
    std::int64_t total = 0;
    for (const auto& [topic, count] : counts_) total += count;
    const auto readers = std::ssize(members_);
    if (readers == 0) return 0;
    auto larger = total % readers;
    std::int64_t moves = 0;
    std::vector<std::int64_t> loads;
    for (const auto& each : members_) loads.push_back(std::ssize(each.owned));
    std::ranges::sort(loads, std::greater{});
    for (const auto load : loads) moves += std::max<std::int64_t>(load - total / readers - (larger-- > 0 ? 1 : 0), 0);
    return moves;
  }
  SeededRandom& random() { return random_; }

 private:
  SeededRandom random_;
  const bool equal_;
  Counts counts_;
  std::vector<SubscribedMember> members_;
  int next_ = 0;
  std::int32_t generation_ = 1;
};

TEST(CooperativeAssignor, RandomGroupsOfEqualSubscriptionsAreEvenAndMoveTheFewest) {
  const auto seed = test::seed_of_test();
  for (std::uint64_t round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(fmt::format("round {} of seed {}", round, seed));
    RandomGroup group(seed + round, true);
    for (int step = 0; step < 15; ++step) {
      switch (group.random().below(4)) {
        case 0: group.remove_member(); break;
        case 1: group.add_partitions(); break;
        default: group.add_member();
      }
      const auto fewest = group.fewest_moves();
      EXPECT_EQ(group.settle(), fewest);
      group.expect_each_partition_at_one_subscriber();
      group.expect_balance();
    }
  }
}

TEST(CooperativeAssignor, RandomGroupsOfAnySubscriptionsAndClaimsComeToAnEvenShare) {
  const auto seed = test::seed_of_test();
  for (std::uint64_t round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(fmt::format("round {} of seed {}", round, seed));
    RandomGroup group(seed + round, false);
    for (int step = 0; step < 15; ++step) {
      switch (group.random().below(5)) {
        case 0: group.remove_member(); break;
        case 1: group.add_partitions(); break;
        case 2: group.confuse(); break;
        default: group.add_member();
      }
      group.settle();
      group.expect_each_partition_at_one_subscriber();
      group.expect_balance();
    }
  }
}

TEST(CooperativeAssignor, AGroupThatIsEvenStaysAsItIs) {
  const auto seed = test::seed_of_test();
  for (const bool equal : {true, false}) {
    RandomGroup group(seed, equal);
    for (int i = 0; i < 10; ++i) group.add_member();
    group.settle();
    EXPECT_EQ(group.settle(), 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tributary
