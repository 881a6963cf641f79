#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::SizeIs;

class OffsetCommitTest : public GroupTest {};

TEST_F(OffsetCommitTest, ASimpleConsumerCommitsWithoutBeingAMember) {
  EXPECT_EQ(fetched(), -1);
  EXPECT_EQ(committed(commit(42)), ErrorCode::kNone);
  const auto result = coordinator_->fetch({.group_id = "g", .partitions = std::vector{kReadings0, kReadings1}});
  ASSERT_THAT(result.partitions, SizeIs(2));
  EXPECT_EQ(result.partitions[0].offset, Offset(42));
  EXPECT_EQ(result.partitions[0].leader_epoch, LeaderEpoch(3));
  EXPECT_EQ(result.partitions[0].metadata, "note");
  EXPECT_EQ(result.partitions[1].offset, Offset(-1));
  EXPECT_EQ(result.partitions[1].error, ErrorCode::kNone);
  EXPECT_EQ(state(), GroupState::kEmpty);
}

TEST_F(OffsetCommitTest, OneThatIsTooLargeIsRefusedAsAWholeBeforeMemoryIsTakenForIt) {
  GroupCommit large{.group_id = "g", .partitions = {}};
  for (int i = 0; i < 200'000; ++i) large.partitions.push_back({kReadings0, Offset(i), kNoLeaderEpoch, "metadata"});
  const auto token = commit(large);
  ASSERT_TRUE(answered(token));
  const auto result = answer<GroupCommitResult>(token);
  ASSERT_THAT(result.partitions, SizeIs(200'000));
  EXPECT_EQ(result.partitions.front().error, ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(result.partitions.back().error, ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(fetched(), -1);
  EXPECT_EQ(committed(commit(1)), ErrorCode::kNone);
}

TEST_F(OffsetCommitTest, TheEmptyGroupIdIsAGroupToo) {
  const auto token = commit({.group_id = "", .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}});
  EXPECT_EQ(committed(token), ErrorCode::kNone);
  EXPECT_EQ(coordinator_->fetch({.group_id = ""}).partitions.at(0).offset, Offset(1));
}

TEST_F(OffsetCommitTest, AMemberCommitsInItsGeneration) {
  const auto ids = stable_group(2);
  EXPECT_EQ(committed(commit(1, ids[0], 1)), ErrorCode::kNone);
  EXPECT_EQ(committed(commit(2, ids[0], 0)), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(committed(commit(2, ids[0], 2)), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(committed(commit(2, ids[0], -1)), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(committed(commit(2, "stranger", 1)), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(committed(commit(2)), ErrorCode::kUnknownMemberId);  // nobody's, in a group that has members
  EXPECT_EQ(fetched(), 1);
}

TEST_F(OffsetCommitTest, AGroupThatThereIsNotHasNoGenerations) {
  EXPECT_EQ(committed(commit(1, "stranger", 1)), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetCommitTest, AnEmptyGroupKnowsNoMembersButTakesAdministratorsOffsets) {
  const auto ids = stable_group(1);
  leave({{ids[0], {}}});
  EXPECT_EQ(committed(commit(1, ids[0], 1)), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(committed(commit(2)), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 2);
}

TEST_F(OffsetCommitTest, WhileTheOthersJoinAgainAMemberMayCommitWhatItHasRead) {
  const auto ids = stable_group(2);
  const auto newcomer = join(consumer());
  EXPECT_EQ(committed(commit(7, ids[0], 1)), ErrorCode::kNone);
  const std::vector joins{join(consumer(ids[0])), join(consumer(ids[1])), newcomer};
  EXPECT_EQ(committed(commit(8, ids[0], 2)), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(committed(commit(8, ids[0], 1)), ErrorCode::kIllegalGeneration);
  sync_all(joins);
  EXPECT_EQ(committed(commit(9, ids[0], 2)), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 9);
}

TEST_F(OffsetCommitTest, AnOffsetIsVisibleWhenItIsDurable) {
  commit(1);
  hold_appends();
  const auto token = commit(2);
  EXPECT_FALSE(answered(token));
  EXPECT_EQ(fetched(), 1);
  release_appends();
  EXPECT_EQ(committed(token), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 2);
}

TEST_F(OffsetCommitTest, WhoAsksForStableOffsetsIsToldOfCommitsUnderWay) {
  commit(1);
  hold_appends();
  commit(2);
  auto result = coordinator_->fetch({.group_id = "g", .require_stable = true});
  ASSERT_THAT(result.partitions, SizeIs(1));
  EXPECT_EQ(result.partitions[0].error, ErrorCode::kUnstableOffsetCommit);
  release_appends();
  result = coordinator_->fetch({.group_id = "g", .require_stable = true});
  EXPECT_EQ(result.partitions.at(0).error, ErrorCode::kNone);
  EXPECT_EQ(result.partitions.at(0).offset, Offset(2));
}

TEST_F(OffsetCommitTest, TheLogsOrderDecidesNotThatOfTheAnswers) {
  hold_appends();
  const auto first = commit(1);
  const auto second = commit(2);
  complete(1);
  EXPECT_EQ(committed(second), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 2);
  complete(0);
  EXPECT_EQ(committed(first), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 2);
}

TEST_F(OffsetCommitTest, AFailedCommitLeavesTheOffsetBefore) {
  commit(1);
  hold_appends();
  const auto failing = commit(2);
  const auto good = commit(3);
  complete(0, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(committed(failing), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(fetched(), 1);
  complete(0);
  EXPECT_EQ(committed(good), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 3);
}

TEST_F(OffsetCommitTest, AGroupWhoseFirstCommitFailsIsForgotten) {
  fail_appends(ErrorCode::kNotEnoughReplicas);
  commit(1);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetCommitTest, FailedCommitsAreCalledAsKafkaCallsThem) {
  const std::vector<std::pair<ErrorCode, ErrorCode>> expected{
      {ErrorCode::kUnknownTopicOrPartition, ErrorCode::kCoordinatorNotAvailable},
      {ErrorCode::kNotEnoughReplicas, ErrorCode::kCoordinatorNotAvailable},
      {ErrorCode::kNotEnoughReplicasAfterAppend, ErrorCode::kCoordinatorNotAvailable},
      {ErrorCode::kNotLeaderOrFollower, ErrorCode::kNotCoordinator},
      {ErrorCode::kKafkaStorageError, ErrorCode::kNotCoordinator},
      {ErrorCode::kMessageTooLarge, ErrorCode::kInvalidCommitOffsetSize},
      {ErrorCode::kRecordListTooLarge, ErrorCode::kInvalidCommitOffsetSize},
      {ErrorCode::kInvalidFetchSize, ErrorCode::kInvalidCommitOffsetSize},
      {ErrorCode::kRequestTimedOut, ErrorCode::kRequestTimedOut}};
  for (const auto& [append, answer] : expected) {
    fail_appends(append);
    EXPECT_EQ(committed(commit(1)), answer) << name_of(append);
  }
}

TEST_F(OffsetCommitTest, APartitionThatIsRefusedDoesNotHoldUpTheOthers) {
  const auto token = commit({.group_id = "g",
                             .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, std::string(4'097, 'm')},
                                            {kReadings1, Offset(2), kNoLeaderEpoch, std::string(4'096, 'm')},
                                            {{"no/topic", PartitionIndex(0)}, Offset(3), kNoLeaderEpoch, ""}}});
  const auto result = answer<GroupCommitResult>(token);
  ASSERT_THAT(result.partitions, SizeIs(3));
  EXPECT_EQ(result.partitions[0].partition, kReadings0);
  EXPECT_EQ(result.partitions[0].error, ErrorCode::kOffsetMetadataTooLarge);
  EXPECT_EQ(result.partitions[1].error, ErrorCode::kNone);
  EXPECT_EQ(result.partitions[2].error, ErrorCode::kInvalidTopicException);
  EXPECT_EQ(fetched(kReadings0), -1);
  EXPECT_EQ(fetched(kReadings1), 2);
}

TEST_F(OffsetCommitTest, ACommitOfNothingIsAnsweredAtOnce) {
  hold_appends();
  const auto none = commit({.group_id = "g", .partitions = {}});
  EXPECT_THAT(answer<GroupCommitResult>(none).partitions, SizeIs(0));
  const auto refused = commit({.group_id = "g", .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, std::string(9'999, 'm')}}});
  EXPECT_EQ(committed(refused), ErrorCode::kOffsetMetadataTooLarge);
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetCommitTest, OfAPartitionThatIsNamedTwiceTheLastCounts) {
  commit({.group_id = "g",
          .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}, {kReadings0, Offset(2), kNoLeaderEpoch, ""}}});
  EXPECT_EQ(fetched(), 2);
  restart();
  EXPECT_EQ(fetched(), 2);
}

TEST_F(OffsetCommitTest, AllOffsetsOfAGroupAreThereAfterARestart) {
  for (int i = 0; i < 10; ++i)
    commit({.group_id = "g", .partitions = {{{"readings", PartitionIndex(i % 4)}, Offset(i), LeaderEpoch(1), "m"}}});
  const auto before = coordinator_->fetch({.group_id = "g"});
  restart();
  const auto after = coordinator_->fetch({.group_id = "g"});
  ASSERT_THAT(after.partitions, SizeIs(4));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(after.partitions[i].partition, before.partitions[i].partition);
    EXPECT_EQ(after.partitions[i].offset, before.partitions[i].offset);
    EXPECT_EQ(after.partitions[i].metadata, "m");
  }
}

TEST_F(OffsetCommitTest, AMemberMayCommitWhoseGroupWasRestored) {
  const auto ids = stable_group(1);
  restart();
  EXPECT_EQ(committed(commit(5, ids[0], 1)), ErrorCode::kNone);
}

}  // namespace
}  // namespace tributary
