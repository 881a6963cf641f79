// Offsets and groups that are deleted by request, and topics that go.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::SizeIs;

class OffsetDeletionTest : public GroupTest {
 protected:
  ErrorCode deleted(ReplyToken token) const { return answer<GroupDeleteResult>(token).error; }
  GroupOffsetDeleteResult offsets_deleted(ReplyToken token) const { return answer<GroupOffsetDeleteResult>(token); }
  void commit_many(std::int32_t count) {
    GroupCommit request{.group_id = "g"};
    for (std::int32_t i = 0; i < count; ++i)
      request.partitions.push_back({{"wide", PartitionIndex(i)}, Offset(i), kNoLeaderEpoch, ""});
    commit(std::move(request));
  }
};

TEST_F(OffsetDeletionTest, AnOffsetIsGoneWhenItsTombstoneIsDurable) {
  commit(1);
  hold_appends();
  const auto token = delete_offsets({kReadings0, kReadings1});
  EXPECT_FALSE(answered(token));
  EXPECT_EQ(fetched(), 1);
  ASSERT_EQ(held(), 1u);
  EXPECT_THAT(appends_.back().records, SizeIs(1));  // of the one there is
  EXPECT_FALSE(appends_.back().records[0].value);
  release_appends();
  const auto result = offsets_deleted(token);
  ASSERT_THAT(result.partitions, SizeIs(2));
  EXPECT_EQ(result.partitions[0].error, ErrorCode::kNone);
  EXPECT_EQ(result.partitions[1].error, ErrorCode::kNone);
  EXPECT_EQ(fetched(), -1);
  restart();
  EXPECT_EQ(fetched(), -1);
}

TEST_F(OffsetDeletionTest, AnOffsetThatCouldNotBeRemovedStays) {
  commit(1);
  fail_appends(ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).partitions.at(0).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(fetched(), 1);
}

TEST_F(OffsetDeletionTest, TopicsThatAConsumerGroupReadsAreInUse) {
  const auto ids = stable_group(1);
  const TopicPartition old{"old", PartitionIndex(0)};
  commit({.group_id = "g",
          .member_id = ids[0],
          .generation_id = 1,
          .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}, {old, Offset(2), kNoLeaderEpoch, ""}}});
  const auto result = offsets_deleted(delete_offsets({kReadings0, old}));
  EXPECT_EQ(result.error, ErrorCode::kNone);
  EXPECT_EQ(result.partitions.at(0).error, ErrorCode::kGroupSubscribedToTopic);
  EXPECT_EQ(result.partitions.at(1).error, ErrorCode::kNone);
  EXPECT_EQ(fetched(kReadings0), 1);
  EXPECT_EQ(fetched(old), -1);
}

TEST_F(OffsetDeletionTest, IfTheTopicsCannotBeReadAllAreInUse) {
  auto request = consumer();
  for (auto& protocol : request.protocols) protocol.metadata = bytes_of("?");
  const auto token = join(request);
  run(3s);
  sync_all({token});
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).partitions.at(0).error, ErrorCode::kGroupSubscribedToTopic);
}

TEST_F(OffsetDeletionTest, OtherKindsOfGroupsMustBeEmpty) {
  auto request = consumer();
  request.protocol_type = "connect";
  const auto token = join(request);
  run(3s);
  sync_all({token});
  const auto refused = offsets_deleted(delete_offsets({kReadings0}));
  EXPECT_EQ(refused.error, ErrorCode::kNonEmptyGroup);
  EXPECT_THAT(refused.partitions, SizeIs(0));
  leave({{joined(token).member_id, {}}});
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).error, ErrorCode::kNone);
}

TEST_F(OffsetDeletionTest, AGroupThatThereIsNotIsNotFound) {
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).error, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kGroupIdNotFound);
}

TEST_F(OffsetDeletionTest, AGroupWithMembersIsNotDeleted) {
  stable_group(1);
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kNonEmptyGroup);
  join(consumer());
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kNonEmptyGroup);
}

TEST_F(OffsetDeletionTest, AGroupGoesWithItsOffsetsAndLeavesNothingInTheLog) {
  const auto ids = stable_group(1);
  commit(1, ids[0], 1);
  leave({{ids[0], {}}});
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kNone);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  EXPECT_EQ(state(), GroupState::kDead);
  restart();
  EXPECT_EQ(coordinator_->group_count(), 0u);
  EXPECT_EQ(fetched(), -1);
}

TEST_F(OffsetDeletionTest, WhileAGroupGoesNobodyGetsIn) {
  const auto ids = stable_group(1);
  leave({{ids[0], {}}});
  hold_appends();
  const auto token = delete_group();
  EXPECT_EQ(state(), GroupState::kDead);
  EXPECT_EQ(joined(join(consumer())).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(joined(join(consumer(ids[0]))).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(synced(sync(ids[0], 2)).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(heartbeat(ids[0], 2), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(leave({{ids[0], {}}}).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(committed(commit(1)), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).error, ErrorCode::kGroupIdNotFound);
  release_appends();
  EXPECT_EQ(deleted(token), ErrorCode::kNone);
  EXPECT_EQ(committed(commit(1)), ErrorCode::kNone);
}

TEST_F(OffsetDeletionTest, AGroupThatCouldNotBeRemovedLivesOn) {
  commit(1);
  fail_appends(ErrorCode::kMessageTooLarge);
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kUnknownServerError);
  fail_appends(ErrorCode::kNone);
  EXPECT_EQ(state(), GroupState::kEmpty);
  EXPECT_EQ(fetched(), 1);
  EXPECT_EQ(deleted(delete_group()), ErrorCode::kNone);
}

TEST_F(OffsetDeletionTest, ACommitUnderWayIsRemovedWithTheGroup) {
  hold_appends();
  const auto before = commit(1);
  const auto token = delete_group();
  complete(1);  // the tombstone is heard of first
  EXPECT_FALSE(answered(before));
  EXPECT_EQ(deleted(token), ErrorCode::kNone);
  EXPECT_EQ(coordinator_->group_count(), 1u);
  complete(0);
  EXPECT_EQ(committed(before), ErrorCode::kNone);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetDeletionTest, ManyOffsetsGoInSeveralAppends) {
  commit_many(1'200);
  hold_appends();
  const auto token = delete_group();
  ASSERT_EQ(held(), 3u);
  for (std::size_t i = appends_.size() - 3; i < appends_.size(); ++i) EXPECT_LE(appends_[i].records.size(), 501u);
  complete(0);
  complete(0);
  EXPECT_FALSE(answered(token));
  complete(0);
  EXPECT_EQ(deleted(token), ErrorCode::kNone);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetDeletionTest, IfOneOfSeveralAppendsFailsTheRestOfTheGroupStays) {
  commit_many(1'200);
  hold_appends();
  const auto token = delete_group();
  complete(1, ErrorCode::kNotEnoughReplicas);
  complete(0);
  complete(0);
  EXPECT_EQ(deleted(token), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(state(), GroupState::kEmpty);
  EXPECT_THAT(coordinator_->fetch({.group_id = "g"}).partitions, SizeIs(500));
}

TEST_F(OffsetDeletionTest, ADeletedTopicTakesTheOffsetsOfAllGroupsWithIt) {
  const auto ids = stable_group(1);
  commit(1, ids[0], 1);
  const TopicPartition other{"other", PartitionIndex(0)};
  commit({.group_id = "simple",
          .partitions = {{kReadings1, Offset(2), kNoLeaderEpoch, ""}, {other, Offset(3), kNoLeaderEpoch, ""}}});
  coordinator_->topic_deleted("readings");
  pump();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(fetched(), -1);
    const auto left = coordinator_->fetch({.group_id = "simple"});
    ASSERT_THAT(left.partitions, SizeIs(1));
    EXPECT_EQ(left.partitions[0].partition, other);
    restart();
  }
  EXPECT_EQ(state(), GroupState::kStable);
}

TEST_F(OffsetDeletionTest, ASimpleGroupWhoseOnlyTopicIsDeletedIsForgotten) {
  commit(1);
  coordinator_->topic_deleted("readings");
  pump();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetDeletionTest, ADeletedTopicsOffsetIsGoneBeforeItsTombstoneIsDurable) {
  commit(1);
  hold_appends();
  coordinator_->topic_deleted("readings");
  pump();
  EXPECT_EQ(held(), 1u);
  EXPECT_EQ(fetched(), -1) << "a topic of that name may be there again at any moment";
  release_appends();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(OffsetDeletionTest, ATombstoneOfADeletedTopicThatCouldNotBeWrittenIsWrittenLater) {
  commit(1);
  fail_appends(ErrorCode::kKafkaStorageError);
  coordinator_->topic_deleted("readings");
  pump();
  EXPECT_EQ(fetched(), -1);
  run(2 * std::chrono::milliseconds(options_.offsets_retention_check_ms));
  EXPECT_EQ(fetched(), -1);
  fail_appends(ErrorCode::kNone);
  run(std::chrono::milliseconds(options_.offsets_retention_check_ms));
  EXPECT_EQ(coordinator_->group_count(), 0u);
  restart();
  EXPECT_EQ(fetched(), -1);
}

TEST_F(OffsetDeletionTest, WhatIsCommittedToATopicMadeAgainIsNotTakenForTheFormerOnes) {
  commit(1);
  fail_appends(ErrorCode::kKafkaStorageError);
  coordinator_->topic_deleted("readings");
  pump();
  fail_appends(ErrorCode::kNone);
  EXPECT_EQ(committed(commit(2)), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 2);
  run(2 * std::chrono::milliseconds(options_.offsets_retention_check_ms));
  EXPECT_EQ(fetched(), 2);
  restart();
  EXPECT_EQ(fetched(), 2);
}

TEST_F(OffsetDeletionTest, ACommitUnderWayDoesNotOutliveItsTopic) {
  for (const bool tombstone_first : {true, false}) {
    for (const auto tombstone : {ErrorCode::kNone, ErrorCode::kKafkaStorageError}) {
      hold_appends();
      const auto token = commit(1);
      coordinator_->topic_deleted("readings");
      pump();
      ASSERT_EQ(held(), 2u);
      if (tombstone_first) complete(1, tombstone);
      complete(0);
      EXPECT_EQ(committed(token), ErrorCode::kNone);
      if (!tombstone_first) complete(0, tombstone);
      EXPECT_EQ(fetched(), -1) << tombstone_first << " " << name_of(tombstone);
      release_appends();
      run(std::chrono::milliseconds(options_.offsets_retention_check_ms));
      EXPECT_EQ(coordinator_->group_count(), 0u);
    }
  }
}

TEST_F(OffsetDeletionTest, ATopicThatIsDeletedWhileItsGroupGoesLeavesNothingIfTheGroupStays) {
  commit(1);
  hold_appends();
  const auto token = delete_group();
  coordinator_->topic_deleted("readings");
  pump();
  complete(0, ErrorCode::kNotEnoughReplicas);
  release_appends();
  EXPECT_EQ(deleted(token), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(fetched(), -1);
  run(std::chrono::milliseconds(options_.offsets_retention_check_ms));
  restart();
  EXPECT_EQ(fetched(), -1);
}

}  // namespace
}  // namespace tributary
