#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

class SyncTest : public GroupTest {
 protected:
  /// Two members that have joined generation 1: the leader's id and the other's.
  void joined_group() {
    const std::vector joins{join(consumer()), join(consumer())};
    run(6s);
    leader_ = joined(joins[0]).leader;
    follower_ = joined(joins[joined(joins[0]).member_id == leader_ ? 1 : 0]).member_id;
  }
  ReplyToken leader_syncs() { return sync(leader_, 1, {{leader_, bytes_of("L")}, {follower_, bytes_of("F")}}); }
  std::size_t records() const {
    const auto found = log_.find(coordinator_->partition_of("g"));
    return found == log_.end() ? 0 : found->second.size();
  }

  std::string leader_;
  std::string follower_;
};

TEST_F(SyncTest, EveryMemberGetsWhatTheLeaderAssigns) {
  joined_group();
  const auto follower = sync(follower_, 1);
  EXPECT_FALSE(answered(follower));
  const auto leader = leader_syncs();
  EXPECT_EQ(synced(leader).assignment, bytes_of("L"));
  EXPECT_EQ(synced(follower).assignment, bytes_of("F"));
  EXPECT_EQ(synced(follower).protocol_type, "consumer");
  EXPECT_EQ(synced(follower).protocol_name, "range");
  EXPECT_EQ(state(), GroupState::kStable);
}

TEST_F(SyncTest, NobodyIsToldBeforeTheAssignmentIsDurable) {
  joined_group();
  hold_appends();
  const auto follower = sync(follower_, 1);
  const auto leader = leader_syncs();
  EXPECT_FALSE(answered(leader) || answered(follower));
  EXPECT_EQ(state(), GroupState::kCompletingRebalance);
  release_appends();
  EXPECT_EQ(synced(leader).error, ErrorCode::kNone);
  EXPECT_EQ(synced(follower).error, ErrorCode::kNone);
  EXPECT_EQ(records(), 1u);
}

TEST_F(SyncTest, AMemberThatSyncsLateGetsItsAssignmentFromTheStableGroup) {
  joined_group();
  leader_syncs();
  EXPECT_EQ(synced(sync(follower_, 1)).assignment, bytes_of("F"));
  EXPECT_EQ(synced(sync(follower_, 1)).assignment, bytes_of("F"));
  EXPECT_EQ(records(), 1u);
}

TEST_F(SyncTest, WhoTheLeaderForgetsGetsNothingAndStrangersAreLeftOut) {
  joined_group();
  const auto follower = sync(follower_, 1);
  sync(leader_, 1, {{leader_, bytes_of("L")}, {"stranger", bytes_of("S")}});
  EXPECT_EQ(synced(follower).error, ErrorCode::kNone);
  EXPECT_TRUE(synced(follower).assignment.empty());
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(SyncTest, AFailedWriteSendsEverybodyBackToJoin) {
  joined_group();
  const auto follower = sync(follower_, 1);
  fail_appends(ErrorCode::kNotEnoughReplicas);
  const auto leader = leader_syncs();
  EXPECT_EQ(synced(leader).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(synced(follower).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
  fail_appends(ErrorCode::kNone);
  EXPECT_EQ(sync_all({join(consumer(leader_)), join(consumer(follower_))}), 2);
}

TEST_F(SyncTest, FailedWritesOfAGroupAreCalledAsKafkaCallsThem) {
  const std::vector<std::pair<ErrorCode, ErrorCode>> expected{
      {ErrorCode::kUnknownTopicOrPartition, ErrorCode::kCoordinatorNotAvailable},
      {ErrorCode::kNotEnoughReplicasAfterAppend, ErrorCode::kCoordinatorNotAvailable},
      {ErrorCode::kNotLeaderOrFollower, ErrorCode::kNotCoordinator},
      {ErrorCode::kKafkaStorageError, ErrorCode::kNotCoordinator},
      {ErrorCode::kRequestTimedOut, ErrorCode::kRebalanceInProgress},
      {ErrorCode::kMessageTooLarge, ErrorCode::kUnknownServerError},
      {ErrorCode::kRecordListTooLarge, ErrorCode::kUnknownServerError},
      {ErrorCode::kInvalidFetchSize, ErrorCode::kUnknownServerError},
      {ErrorCode::kCorruptMessage, ErrorCode::kCorruptMessage}};
  joined_group();
  for (std::int32_t generation = 1; const auto& [append, answer] : expected) {
    fail_appends(append);
    EXPECT_EQ(synced(sync(leader_, generation)).error, answer) << name_of(append);
    const std::vector joins{join(consumer(leader_)), join(consumer(follower_))};
    EXPECT_EQ(joined(joins[0]).generation_id, ++generation);
  }
}

TEST_F(SyncTest, ARebalanceEndsTheWaitForTheAssignment) {
  joined_group();
  const auto follower = sync(follower_, 1);
  const auto newcomer = join(consumer());
  EXPECT_EQ(synced(follower).error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(synced(leader_syncs()).error, ErrorCode::kRebalanceInProgress);
  EXPECT_FALSE(answered(newcomer));
  EXPECT_EQ(records(), 0u);
}

TEST_F(SyncTest, AnAssignmentThatBecomesDurableAfterARebalanceBeganChangesNothing) {
  joined_group();
  hold_appends();
  const auto leader = leader_syncs();
  const auto newcomer = join(consumer());
  EXPECT_EQ(synced(leader).error, ErrorCode::kRebalanceInProgress);
  const auto first = join(consumer(leader_));
  const auto second = join(consumer(follower_));
  EXPECT_EQ(joined(newcomer).generation_id, 2);
  release_appends();
  EXPECT_EQ(state(), GroupState::kCompletingRebalance);
  EXPECT_EQ(sync_all({first, second, newcomer}), 2);
}

TEST_F(SyncTest, ALeaderThatRepeatsItsSyncDoesNotAssignTwice) {
  joined_group();
  hold_appends();
  const auto lost = leader_syncs();
  const auto again = leader_syncs();
  EXPECT_EQ(held(), 1u);
  EXPECT_EQ(synced(lost).error, ErrorCode::kRebalanceInProgress);
  release_appends();
  EXPECT_EQ(synced(again).assignment, bytes_of("L"));
}

TEST_F(SyncTest, MembersGenerationsAndProtocolsAreChecked) {
  EXPECT_EQ(synced(sync("stranger", 1)).error, ErrorCode::kUnknownMemberId);  // no group
  joined_group();
  EXPECT_EQ(synced(sync("stranger", 1)).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(synced(sync(follower_, 2)).error, ErrorCode::kIllegalGeneration);
  EXPECT_EQ(synced(sync(follower_, 1, {}, "instance")).error, ErrorCode::kUnknownMemberId);
  GroupSync request{.group_id = "g", .member_id = follower_, .generation_id = 1, .protocol_type = "connect"};
  EXPECT_EQ(synced(sync(request)).error, ErrorCode::kInconsistentGroupProtocol);
  request.protocol_type = "consumer";
  request.protocol_name = "roundrobin";
  EXPECT_EQ(synced(sync(request)).error, ErrorCode::kInconsistentGroupProtocol);
  request.protocol_name = "range";
  EXPECT_FALSE(answered(sync(request)));
  request.group_id = "";
  EXPECT_EQ(synced(sync(request)).error, ErrorCode::kInvalidGroupId);
}

TEST_F(SyncTest, WhoDoesNotSyncWithinTheRebalanceTimeoutIsRemoved) {
  joined_group();
  leader_syncs();
  for (int i = 0; i < 59; ++i) {
    run(1s);
    EXPECT_EQ(heartbeat(leader_, 1), ErrorCode::kNone);
    EXPECT_EQ(heartbeat(follower_, 1), ErrorCode::kNone);
  }
  run(1s);
  EXPECT_EQ(heartbeat(follower_, 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(heartbeat(leader_, 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(joined(join(consumer(leader_))).generation_id, 2);
}

TEST_F(SyncTest, ALeaderThatNeverAssignsIsRemovedAndTheOthersGoOn) {
  joined_group();
  const auto follower = sync(follower_, 1);
  for (int i = 0; i < 59; ++i) {
    run(1s);
    EXPECT_EQ(heartbeat(leader_, 1), ErrorCode::kNone);
  }
  EXPECT_FALSE(answered(follower));
  run(1s);
  EXPECT_EQ(synced(follower).error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({join(consumer(follower_))}), 2);
}

TEST_F(SyncTest, WhoWaitsForTheAssignmentDoesNotExpire) {
  joined_group();
  hold_appends();
  const auto follower = sync(follower_, 1);
  const auto leader = leader_syncs();
  run(1h);
  EXPECT_FALSE(answered(leader) || answered(follower));
  release_appends();
  EXPECT_EQ(synced(follower).error, ErrorCode::kNone);
  run(9s);
  EXPECT_EQ(state(), GroupState::kStable);
  run(1s);  // but afterwards it must be heard of
  EXPECT_NE(state(), GroupState::kStable);
}

TEST_F(SyncTest, AStableGroupIsRestoredFromTheLog) {
  const auto ids = stable_group(3);
  restart();
  EXPECT_EQ(state(), GroupState::kStable);
  for (const auto& id : ids) {
    EXPECT_EQ(heartbeat(id, 1), ErrorCode::kNone);
    EXPECT_EQ(synced(sync(id, 1)).assignment, bytes_of(id));
  }
  const auto leader = join(consumer(ids[0]));  // it still leads
  EXPECT_EQ(heartbeat(ids[1], 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({leader, join(consumer(ids[1])), join(consumer(ids[2]))}), 2);
}

TEST_F(SyncTest, RestoredMembersThatAreNotHeardOfExpire) {
  const auto ids = stable_group(2);
  restart();
  run(9s);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kNone);
  run(1s);
  EXPECT_EQ(heartbeat(ids[1], 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kRebalanceInProgress);
}

}  // namespace
}  // namespace tributary
