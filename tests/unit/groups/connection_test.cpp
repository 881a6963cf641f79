// Connections that end in the middle of a rebalance.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::SizeIs;

class ConnectionTest : public GroupTest {
 protected:
  /// A stable group of three whose leader and second member have joined again; the third is to come.
  void begin_rebalance() {
    ids_ = stable_group(3);
    leader_ = join(consumer(ids_[0]));
    second_ = join(consumer(ids_[1]));
    ASSERT_EQ(state(), GroupState::kPreparingRebalance);
  }
  /// And has come: all are told of generation 2.
  void begin_generation() {
    begin_rebalance();
    third_ = join(consumer(ids_[2]));
    ASSERT_EQ(state(), GroupState::kCompletingRebalance);
  }

  std::vector<std::string> ids_;
  ReplyToken leader_, second_, third_;
};

TEST_F(ConnectionTest, WhoHasJoinedAndLosesItsConnectionIsNotCountedIn) {
  begin_rebalance();
  lose_connection(ids_[1], second_);
  EXPECT_EQ(joined(second_).error, ErrorCode::kUnknownMemberId);
  third_ = join(consumer(ids_[2]));
  EXPECT_THAT(joined(leader_).members, SizeIs(2));
  EXPECT_EQ(sync_all({leader_, third_}), 2);
}

TEST_F(ConnectionTest, WhoHasJoinedAndLosesItsConnectionDoesNotLead) {
  begin_rebalance();
  lose_connection(ids_[0], leader_);
  third_ = join(consumer(ids_[2]));
  EXPECT_NE(joined(second_).leader, ids_[0]);
  EXPECT_EQ(sync_all({second_, third_}), 2);
}

TEST_F(ConnectionTest, TheLastOneThatAllWaitForIsNotWaitedFor) {
  const auto ids = stable_group(2);
  const auto came = join(consumer());  // of an old client: it does not know its id
  const auto first = join(consumer(ids[0]));
  lose_connection("", came);
  EXPECT_EQ(joined(came).error, ErrorCode::kUnknownMemberId);
  const auto second = join(consumer(ids[1]));
  EXPECT_EQ(sync_all({first, second}), 2);
}

// One is silent, so the join phase lasts until its session ends; meanwhile others have joined and die.
TEST_F(ConnectionTest, ARebalanceEndsWithTheSessionOfTheSilentAlthoughWhoHadJoinedDies) {
  begin_rebalance();
  run(9s);
  lose_connection(ids_[0], leader_);
  run(1s);
  EXPECT_EQ(sync_all({second_}), 2);
  EXPECT_EQ(state(), GroupState::kStable);
}

TEST_F(ConnectionTest, WhoWaitsForItsAssignmentAndLosesItsConnectionIsRemoved) {
  begin_generation();
  const auto waits = sync(ids_[1], 2);
  const auto other = sync(ids_[2], 2);
  lose_connection(ids_[1], waits);
  EXPECT_EQ(synced(waits).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(synced(other).error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({join(consumer(ids_[0])), join(consumer(ids_[2]))}), 3);
}

TEST_F(ConnectionTest, AnAssignmentOnItsWayIntoTheLogIsVoidWhenOneOfTheMembersIsLost) {
  begin_generation();
  hold_appends();
  const auto leader = sync(ids_[0], 2, {{ids_[0], bytes_of("all")}});
  lose_connection(ids_[0], leader);
  release_appends();
  EXPECT_EQ(synced(leader).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(sync_all({join(consumer(ids_[1])), join(consumer(ids_[2]))}), 3);
}

TEST_F(ConnectionTest, ALeaderThatLosesItsConnectionBeforeItAssignsIsRemoved) {
  begin_generation();
  const auto waits = sync(ids_[1], 2);
  lose_connection(ids_[0], leader_);
  EXPECT_EQ(synced(waits).error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({join(consumer(ids_[1])), join(consumer(ids_[2]))}), 3);
}

TEST_F(ConnectionTest, WhoWasSentBackToJoinAgainAndLosesItsConnectionIsRemoved) {
  begin_generation();
  const auto waits = sync(ids_[1], 2);
  const auto leader = join(consumer(ids_[0], {"alarms"}));
  ASSERT_EQ(synced(waits).error, ErrorCode::kRebalanceInProgress);
  lose_connection(ids_[1], waits);
  const auto refused = sync(ids_[2], 2);
  ASSERT_EQ(synced(refused).error, ErrorCode::kRebalanceInProgress);
  lose_connection(ids_[2], refused);
  EXPECT_EQ(sync_all({leader}), 3);
}

TEST_F(ConnectionTest, WhoHasItsAssignmentMayComeBack) {
  begin_generation();
  std::vector<ReplyToken> syncs{sync(ids_[0], 2), sync(ids_[1], 2), sync(ids_[2], 2)};
  ASSERT_EQ(state(), GroupState::kStable);
  lose_connection(ids_[0], leader_);
  lose_connection(ids_[1], syncs[1]);
  EXPECT_EQ(state(), GroupState::kStable);
  for (const auto& id : ids_) EXPECT_EQ(heartbeat(id, 2), ErrorCode::kNone);
}

TEST_F(ConnectionTest, WhoHasNotJoinedAgainYetMayComeBack) {
  begin_rebalance();
  lose_connection(ids_[2], ReplyToken(1));
  third_ = join(consumer(ids_[2]));
  EXPECT_EQ(sync_all({leader_, second_, third_}), 2);
}

TEST_F(ConnectionTest, WhoAsksAgainOnAnotherConnectionBeforeTheFirstHasEndedStays) {
  begin_rebalance();
  const auto again = join(consumer(ids_[1]));
  lose_connection(ids_[1], second_);
  third_ = join(consumer(ids_[2]));
  lose_connection(ids_[2], ReplyToken(1));
  const auto told_again = join(consumer(ids_[2]));  // the answer was lost
  lose_connection(ids_[2], third_);
  EXPECT_EQ(sync_all({leader_, again, told_again}), 2);
}

TEST_F(ConnectionTest, WhoAsksAgainAfterwardsIsToldAndJoinsAnew) {
  begin_rebalance();
  lose_connection(ids_[1], second_);
  EXPECT_EQ(joined(join(consumer(ids_[1]))).error, ErrorCode::kUnknownMemberId);
  const auto anew = join(consumer());
  third_ = join(consumer(ids_[2]));
  EXPECT_EQ(sync_all({leader_, anew, third_}), 2);
}

TEST_F(ConnectionTest, AStaticMemberKeepsItsPlace) {
  const std::vector joins{join(static_consumer("i")), join(consumer())};
  run(6s);
  const auto place = joined(joins[0]).member_id;
  lose_connection("", joins[0]);
  EXPECT_EQ(member_count(), 2u);
  const auto waits = sync(place, 1, {}, "i");
  lose_connection(place, waits);
  EXPECT_EQ(member_count(), 2u);
  lose_connection(place, join(static_consumer("i", place)));
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(ConnectionTest, AnIdThatWasHandedOutIsVoid) {
  const auto ids = stable_group(1);
  auto request = consumer();
  request.member_id_required = true;
  const auto came = join(request);
  const auto leader = join(consumer(ids[0]));
  ASSERT_FALSE(answered(leader));  // waits for the other
  lose_connection("", came);
  EXPECT_EQ(joined(leader).generation_id, 2);
  EXPECT_EQ(joined(join(consumer(joined(came).member_id))).error, ErrorCode::kUnknownMemberId);
}

TEST_F(ConnectionTest, AnIdThatWasHandedOutAndIsUsedOnAnotherConnectionStays) {
  auto request = consumer();
  request.member_id_required = true;
  const auto came = join(request);
  const auto used = join(consumer(joined(came).member_id));
  lose_connection("", came);
  run(6s);
  EXPECT_EQ(sync_all({used}), 1);
}

TEST_F(ConnectionTest, TheLastMemberLeavesAnEmptyGroup) {
  const auto ids = stable_group(1);
  lose_connection(ids[0], join(consumer(ids[0])));
  EXPECT_EQ(state(), GroupState::kEmpty);
}

TEST_F(ConnectionTest, WhatIsNotHereIsNotMissed) {
  lose_connection("a", ReplyToken(1));
  coordinator_->connection_lost(now_, "", "a", ReplyToken(1));
  const auto token = join(consumer());
  coordinator_->unload(coordinator_->partition_of("g"));
  pump();
  lose_connection("", token);
  EXPECT_EQ(joined(token).error, ErrorCode::kNotCoordinator);
}

}  // namespace
}  // namespace tributary
