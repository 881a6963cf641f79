#include "cluster/client/assignors.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

std::vector<TopicPartition> partitions(const std::string& topic, std::vector<std::int32_t> indexes) {
  std::vector<TopicPartition> all;
  for (const auto index : indexes) all.push_back({topic, PartitionIndex(index)});
  return all;
}
std::vector<TopicPartition> both(std::vector<TopicPartition> first, const std::vector<TopicPartition>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// The examples of Kafka's RangeAssignor and RoundRobinAssignor.
TEST(Assignors, RangeGivesEachTopicInRuns) {
  const std::vector<SubscribedMember> members{{"C1", {"t1", "t0"}}, {"C0", {"t0", "t1"}}};
  EXPECT_EQ(assign_partitions("range", members, {{"t0", 3}, {"t1", 3}}),
            (Assignments{{"C0", both(partitions("t0", {0, 1}), partitions("t1", {0, 1}))},
                         {"C1", both(partitions("t0", {2}), partitions("t1", {2}))}}));
}

TEST(Assignors, RoundRobinDealsOutAllTopicsInTurn) {
  const std::vector<SubscribedMember> members{{"C0", {"t0", "t1"}}, {"C1", {"t0", "t1"}}};
  EXPECT_EQ(assign_partitions("roundrobin", members, {{"t0", 3}, {"t1", 3}}),
            (Assignments{{"C0", both(partitions("t0", {0, 2}), partitions("t1", {1}))},
                         {"C1", both(partitions("t0", {1}), partitions("t1", {0, 2}))}}));
}

TEST(Assignors, RoundRobinPassesOverWhoDoesNotSubscribe) {
  const std::vector<SubscribedMember> members{{"C0", {"t0"}}, {"C1", {"t0", "t1"}}, {"C2", {"t0", "t1", "t2"}}};
  EXPECT_EQ(assign_partitions("roundrobin", members, {{"t0", 1}, {"t1", 2}, {"t2", 3}}),
            (Assignments{{"C0", partitions("t0", {0})},
                         {"C1", partitions("t1", {0})},
                         {"C2", both(partitions("t1", {1}), partitions("t2", {0, 1, 2}))}}));
}

TEST(Assignors, StaticMembersComeFirstByTheirInstanceId) {
  for (const auto* restarted : {"x", "z"}) {
    const std::vector<SubscribedMember> members{{"a", {"t"}}, {restarted, {"t"}, "place-1"}, {"y", {"t"}, "place-2"}};
    for (const auto* assignor : {"range", "roundrobin"})
      EXPECT_EQ(assign_partitions(assignor, members, {{"t", 3}}),
                (Assignments{{restarted, partitions("t", {0})}, {"y", partitions("t", {1})}, {"a", partitions("t", {2})}}));
  }
}

TEST(Assignors, RebalancesAreCooperativeOnlyIfEveryAssignorIs) {
  EXPECT_TRUE(all_cooperative({"cooperative-sticky"}));
  EXPECT_FALSE(all_cooperative({"range", "cooperative-sticky"}));
  EXPECT_FALSE(all_cooperative({"roundrobin"}));
}

TEST(Assignors, MembersBeyondThePartitionsGetNone) {
  const std::vector<SubscribedMember> members{{"a", {"t"}}, {"b", {"t"}}, {"c", {"t"}}, {"d", {}}};
  for (const auto* assignor : {"range", "roundrobin"})
    EXPECT_EQ(assign_partitions(assignor, members, {{"t", 2}}),
              (Assignments{{"a", partitions("t", {0})}, {"b", partitions("t", {1})}, {"c", {}}, {"d", {}}})) << assignor;
}

TEST(Assignors, ATopicThatThereIsNotHasNoPartitions) {
  for (const auto* assignor : {"range", "roundrobin"}) {
    EXPECT_EQ(assign_partitions(assignor, {{"a", {"none", "t"}}}, {{"t", 1}}), (Assignments{{"a", partitions("t", {0})}}));
    EXPECT_TRUE(assign_partitions(assignor, {}, {{"t", 1}}).empty());
  }
}

}  // namespace
}  // namespace tributary
