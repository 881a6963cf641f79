// Heartbeats, leaving, expiry.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::SizeIs;

class MembershipTest : public GroupTest {};

TEST_F(MembershipTest, AHeartbeatIsAnsweredByWhatTheGroupIsAt) {
  EXPECT_EQ(heartbeat("stranger", 1), ErrorCode::kUnknownMemberId);
  const std::vector joins{join(consumer()), join(consumer())};
  run(6s);
  const auto id = joined(joins[0]).member_id;
  EXPECT_EQ(heartbeat(id, 1), ErrorCode::kNone);  // before the sync
  sync_all(joins);
  EXPECT_EQ(heartbeat(id, 1), ErrorCode::kNone);
  EXPECT_EQ(heartbeat(id, 0), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(heartbeat(id, 2), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(heartbeat("stranger", 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(heartbeat(id, 1, "instance"), ErrorCode::kUnknownMemberId);
  join(consumer());
  EXPECT_EQ(heartbeat(id, 1), ErrorCode::kRebalanceInProgress);
}

TEST_F(MembershipTest, AHeartbeatOfAnEmptyGroupIsUnknown) {
  const auto ids = stable_group(1);
  leave({{ids[0], {}}});
  EXPECT_EQ(heartbeat(ids[0], 2), ErrorCode::kUnknownMemberId);
}

TEST_F(MembershipTest, WhoIsSilentForItsSessionTimeoutIsRemoved) {
  const auto ids = stable_group(3);
  run(9s);
  heartbeat(ids[0], 1);
  heartbeat(ids[1], 1);
  run(1s);
  EXPECT_EQ(member_count(), 2u);
  EXPECT_EQ(heartbeat(ids[2], 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({join(consumer(ids[0])), join(consumer(ids[1]))}), 2);
}

TEST_F(MembershipTest, SessionsDoNotGoByTheWallClock) {
  const auto ids = stable_group(2);
  for (const std::int64_t years : {30, -60, 30}) {
    now_.wall_ms += years * 365 * 86'400'000;
    run(9s);
    EXPECT_EQ(member_count(), 2u) << years;
    for (const auto& id : ids) EXPECT_EQ(heartbeat(id, 1), ErrorCode::kNone) << years;
  }
  now_.wall_ms -= 86'400'000;
  run(10s);
  EXPECT_EQ(member_count(), 0u) << "nor does a clock that goes back keep the dead";
}

TEST_F(MembershipTest, CommitsAndSyncsCountAsHeartbeats) {
  const auto ids = stable_group(2);
  for (int i = 0; i < 10; ++i) {
    run(5s);
    commit(i, ids[0], 1);
    (void)sync(ids[1], 1);
  }
  EXPECT_EQ(state(), GroupState::kStable);
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(MembershipTest, AGroupWhoseMembersAllDieBecomesEmpty) {
  stable_group(3);
  run(71s);
  EXPECT_EQ(state(), GroupState::kEmpty);
  restart();
  EXPECT_EQ(state(), GroupState::kEmpty);
  EXPECT_EQ(coordinator_->group_count(), 1u);
}

TEST_F(MembershipTest, TheEmptyGenerationThatCouldNotBeWrittenComesBackWithItsMembers) {
  stable_group(2);
  fail_appends(ErrorCode::kNotEnoughReplicas);
  run(71s);
  EXPECT_EQ(state(), GroupState::kEmpty);
  restart();
  EXPECT_EQ(member_count(), 2u);
  fail_appends(ErrorCode::kNone);
  run(71s);
  EXPECT_EQ(state(), GroupState::kEmpty);
}

TEST_F(MembershipTest, WhoLeavesIsGoneAtOnce) {
  const auto ids = stable_group(2);
  const auto left = leave({{ids[1], {}}});
  EXPECT_EQ(left.error, ErrorCode::kNone);
  ASSERT_THAT(left.members, SizeIs(1));
  EXPECT_EQ(left.members[0].error, ErrorCode::kNone);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(sync_all({join(consumer(ids[0]))}), 2);
}

TEST_F(MembershipTest, SeveralMembersLeaveWithOneRequest) {
  const auto ids = stable_group(3);
  const auto left = leave({{ids[1], {}}, {"stranger", {}}, {ids[2], {}}, {ids[2], {}}});
  ASSERT_THAT(left.members, SizeIs(4));
  EXPECT_EQ(left.members[0].error, ErrorCode::kNone);
  EXPECT_EQ(left.members[1].error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(left.members[2].error, ErrorCode::kNone);
  EXPECT_EQ(left.members[3].error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(member_count(), 1u);
}

TEST_F(MembershipTest, LeavingAGroupThatThereIsNotIsUnknown) {
  const auto left = leave({{"stranger", {}}});
  EXPECT_EQ(left.error, ErrorCode::kNone);
  EXPECT_EQ(left.members.at(0).error, ErrorCode::kUnknownMemberId);
}

TEST_F(MembershipTest, AnIdThatWasGivenCanBeGivenBack) {
  const auto ids = stable_group(1);
  auto request = consumer();
  request.member_id_required = true;
  const auto id = joined(join(request)).member_id;
  const auto leader = join(consumer(ids[0]));
  EXPECT_FALSE(answered(leader));  // waits for the other
  EXPECT_EQ(leave({{id, {}}}).members.at(0).error, ErrorCode::kNone);
  EXPECT_EQ(joined(leader).generation_id, 2);
}

TEST_F(MembershipTest, TheJoinOfAMemberThatLeavesIsAnsweredOnce) {
  const auto ids = stable_group(2);
  const auto waiting = join(consumer(ids[0]));
  leave({{ids[0], {}}});
  EXPECT_EQ(joined(waiting).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(sync_all({join(consumer(ids[1]))}), 2);
}

TEST_F(MembershipTest, TheSyncOfAMemberThatLeavesIsAnsweredOnce) {
  const std::vector joins{join(consumer()), join(consumer())};
  run(6s);
  hold_appends();
  const auto leader = joined(joins[0]).leader;
  const auto waiting = sync(leader, 1);
  leave({{leader, {}}});
  EXPECT_EQ(synced(waiting).error, ErrorCode::kUnknownMemberId);
  release_appends();
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(MembershipTest, TheLastToLeaveARebalanceEmptiesTheGroup) {
  const auto token = join(consumer());
  const auto id = coordinator_->describe("g").members.at(0).member_id;
  leave({{id, {}}});
  EXPECT_EQ(joined(token).error, ErrorCode::kUnknownMemberId);
  run(3s);
  EXPECT_EQ(state(), GroupState::kEmpty);
}

TEST_F(MembershipTest, ALeaderThatLeavesIsReplaced) {
  const auto ids = stable_group(3);
  leave({{ids[0], {}}});
  const auto first = join(consumer(ids[1]));
  const auto second = join(consumer(ids[2]));
  const auto leader = joined(first).leader;
  EXPECT_TRUE(leader == ids[1] || leader == ids[2]);
  EXPECT_EQ(joined(second).leader, leader);
}

TEST_F(MembershipTest, MembersMetadataAndAssignmentsShowOnlyInAStableGroup) {
  const auto ids = stable_group(1);
  auto shown = coordinator_->describe("g");
  EXPECT_EQ(shown.protocol_type, "consumer");
  EXPECT_EQ(shown.protocol, "range");
  ASSERT_THAT(shown.members, SizeIs(1));
  EXPECT_EQ(shown.members[0].client_id, "client");
  EXPECT_EQ(shown.members[0].client_host, "/10.0.0.1");
  EXPECT_EQ(shown.members[0].metadata, subscription_to({"readings"}));
  EXPECT_EQ(shown.members[0].assignment, bytes_of(ids[0]));
  join(consumer());
  shown = coordinator_->describe("g");
  EXPECT_EQ(shown.state, GroupState::kPreparingRebalance);
  EXPECT_TRUE(shown.protocol.empty());
  for (const auto& member : shown.members) EXPECT_TRUE(member.metadata.empty() && member.assignment.empty());
}

}  // namespace
}  // namespace tributary
