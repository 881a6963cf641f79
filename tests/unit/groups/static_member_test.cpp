// KIP-345: a member with group.instance.id that comes back is the same member under a new id.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::SizeIs;
using testing::StartsWith;

class StaticMemberTest : public GroupTest {
 protected:
  /// Static members "a" and "b" in a stable generation 1.
  void two_static_members() {
    const auto a = join(static_consumer("a"));
    const auto b = join(static_consumer("b"));
    run(6s);
    a_ = joined(a).member_id;
    b_ = joined(b).member_id;
    sync_all({a, b});
    leader_ = joined(a).leader;
  }
  std::string leading() const { return leader_ == a_ ? "a" : "b"; }
  std::string following() const { return leader_ == a_ ? "b" : "a"; }

  std::string a_;
  std::string b_;
  std::string leader_;
};

TEST_F(StaticMemberTest, ItsIdBeginsWithItsInstanceId) {
  two_static_members();
  EXPECT_THAT(a_, StartsWith("a-"));
  EXPECT_EQ(coordinator_->describe("g").members.at(0).group_instance_id, "a");
}

TEST_F(StaticMemberTest, ItIsNotAskedToComeBackWithAnId) {
  auto request = static_consumer("a");
  request.member_id_required = true;
  const auto token = join(request);
  run(3s);
  EXPECT_EQ(joined(token).error, ErrorCode::kNone);
}

TEST_F(StaticMemberTest, ItComesBackToAStableGroupWithoutARebalance) {
  two_static_members();
  const auto result = joined(join(static_consumer(following())));
  EXPECT_EQ(result.error, ErrorCode::kNone);
  EXPECT_EQ(result.generation_id, 1);
  EXPECT_EQ(result.leader, leader_);
  EXPECT_NE(result.member_id, following() == "a" ? a_ : b_);
  EXPECT_TRUE(result.members.empty());
  EXPECT_EQ(state(), GroupState::kStable);
  EXPECT_EQ(synced(sync(result.member_id, 1)).assignment, bytes_of(following() == "a" ? a_ : b_));
}

TEST_F(StaticMemberTest, ItsNewIdIsDurableBeforeItIsTold) {
  two_static_members();
  hold_appends();
  const auto token = join(static_consumer("a"));
  EXPECT_FALSE(answered(token));
  release_appends();
  restart();
  EXPECT_EQ(heartbeat(joined(token).member_id, 1, "a"), ErrorCode::kNone);
}

TEST_F(StaticMemberTest, TheFormerOneIsFenced) {
  two_static_members();
  const auto id = joined(join(static_consumer("a"))).member_id;
  EXPECT_EQ(heartbeat(a_, 1, "a"), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(heartbeat(a_, 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(heartbeat(id, 1, "a"), ErrorCode::kNone);
  EXPECT_EQ(synced(sync(a_, 1, {}, "a")).error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(joined(join(static_consumer("a", a_))).error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(leave({{a_, "a"}}).members.at(0).error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(committed(commit({.group_id = "g",
                              .member_id = a_,
                              .generation_id = 1,
                              .group_instance_id = "a",
                              .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}})),
            ErrorCode::kFencedInstanceId);
}

TEST_F(StaticMemberTest, ALeaderThatComesBackLeadsAndNeedNotAssignAgain) {
  two_static_members();
  auto request = static_consumer(leading());
  request.can_skip_assignment = true;
  const auto result = joined(join(request));
  EXPECT_EQ(result.leader, result.member_id);
  EXPECT_TRUE(result.skip_assignment);
  EXPECT_THAT(result.members, SizeIs(2));
}

TEST_F(StaticMemberTest, AFollowerThatComesBackHasNothingToSkip) {
  two_static_members();
  auto request = static_consumer(following());
  request.can_skip_assignment = true;
  const auto result = joined(join(request));
  EXPECT_EQ(result.leader, leader_);
  EXPECT_FALSE(result.skip_assignment);
  EXPECT_TRUE(result.members.empty());
}

TEST_F(StaticMemberTest, AnOldLeaderThatComesBackIsNotToldThatItLeads) {
  two_static_members();
  const auto result = joined(join(static_consumer(leading())));
  EXPECT_EQ(result.leader, leader_);  // its former id
  EXPECT_NE(result.member_id, leader_);
  EXPECT_FALSE(result.skip_assignment);
  EXPECT_TRUE(result.members.empty());
  // It leads all the same: by joining it starts a rebalance.
  EXPECT_FALSE(answered(join(static_consumer(leading(), result.member_id))));
}

TEST_F(StaticMemberTest, ComingForOtherTopicsStartsARebalance) {
  two_static_members();
  auto request = static_consumer("a");
  request.protocols[0].metadata = request.protocols[1].metadata = subscription_to({"alarms"});
  EXPECT_FALSE(answered(join(request)));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(StaticMemberTest, ComingWithOtherProtocolsStartsARebalance) {
  two_static_members();
  auto request = static_consumer("a");
  request.protocols.erase(request.protocols.begin());
  EXPECT_FALSE(answered(join(request)));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(StaticMemberTest, IfItsNewIdCannotBeWrittenTheFormerOneStays) {
  two_static_members();
  fail_appends(ErrorCode::kNotEnoughReplicas);
  const auto result = joined(join(static_consumer("a")));
  EXPECT_EQ(result.error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_TRUE(result.member_id.empty());
  EXPECT_EQ(state(), GroupState::kStable);
  EXPECT_EQ(heartbeat(a_, 1, "a"), ErrorCode::kNone);
  EXPECT_EQ(synced(sync(a_, 1, {}, "a")).assignment, bytes_of(a_));
}

TEST_F(StaticMemberTest, TwoThatComeBackAtOnceFenceEachOther) {
  two_static_members();
  hold_appends();
  const auto first = join(static_consumer("a"));
  const auto second = join(static_consumer("a"));
  EXPECT_EQ(joined(first).error, ErrorCode::kFencedInstanceId);
  release_appends();
  EXPECT_EQ(joined(second).error, ErrorCode::kNone);
  EXPECT_EQ(heartbeat(joined(second).member_id, 1, "a"), ErrorCode::kNone);
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(StaticMemberTest, ARebalanceThatBeginsMeanwhileAnswersIt) {
  two_static_members();
  hold_appends();
  const auto back = join(static_consumer("a"));
  const auto newcomer = join(consumer());
  const auto other = join(static_consumer("b", b_));
  EXPECT_EQ(joined(back).generation_id, 2);
  EXPECT_EQ(joined(newcomer).generation_id, 2);
  release_appends(ErrorCode::kNotEnoughReplicas);  // which no longer matters
  EXPECT_EQ(sync_all({back, newcomer, other}), 2);
}

TEST_F(StaticMemberTest, AWriteOfItsIdThatFailsAfterTheNextGenerationChangesNothing) {
  two_static_members();
  hold_appends();
  const auto back = join(static_consumer("a"));
  const auto newcomer = join(consumer());
  const auto other = join(static_consumer("b", b_));
  for (const auto token : {back, newcomer, other}) sync(joined(token).member_id, 2);
  complete(1);
  EXPECT_EQ(state(), GroupState::kStable);
  complete(0, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(heartbeat(joined(back).member_id, 2, "a"), ErrorCode::kNone);
}

TEST_F(StaticMemberTest, ItsJoinOrSyncThatStillWaitsIsFenced) {
  const auto waiting = join(static_consumer("a"));
  const auto again = join(static_consumer("a"));
  EXPECT_EQ(joined(waiting).error, ErrorCode::kFencedInstanceId);
  const auto other = join(static_consumer("b"));
  run(6s);
  const std::string follower = joined(again).leader == joined(again).member_id ? "b" : "a";
  const auto syncing = sync(joined(follower == "a" ? again : other).member_id, 1);
  const auto back = join(static_consumer(follower));
  EXPECT_EQ(synced(syncing).error, ErrorCode::kFencedInstanceId);
  EXPECT_FALSE(answered(back));  // the leader has assigned to the former id: once more
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(StaticMemberTest, ItStaysThroughARebalanceThatItMisses) {
  two_static_members();
  const auto newcomer = join(consumer());
  const auto b = join(static_consumer("b", b_));
  for (int i = 0; i < 60; ++i) {
    run(1s);
    (void)heartbeat(a_, 1, "a");
  }
  EXPECT_EQ(joined(newcomer).generation_id, 2);
  EXPECT_EQ(joined(b).generation_id, 2);
  EXPECT_EQ(member_count(), 3u);
}

TEST_F(StaticMemberTest, ARebalanceThatOnlyAbsentStaticMembersCouldJoinWaitsUntilTheyExpire) {
  two_static_members();
  const auto newcomer = join(consumer());
  const auto members = coordinator_->describe("g").members;
  for (const auto& member : members)
    if (!member.group_instance_id) leave({{member.member_id, {}}});
  EXPECT_EQ(joined(newcomer).error, ErrorCode::kUnknownMemberId);
  for (int i = 0; i < 130; ++i) {
    run(1s);
    EXPECT_EQ(heartbeat(a_, 1, "a"), ErrorCode::kRebalanceInProgress);
  }
  run(71s);
  EXPECT_EQ(state(), GroupState::kEmpty);
}

TEST_F(StaticMemberTest, ItIsRemovedByItsInstanceId) {
  two_static_members();
  const auto left = leave({{"", "a"}, {"", "c"}, {"", {}}, {"stranger", "b"}});
  ASSERT_THAT(left.members, SizeIs(4));
  EXPECT_EQ(left.members[0].error, ErrorCode::kNone);
  EXPECT_EQ(left.members[1].error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(left.members[2].error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(left.members[3].error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(member_count(), 1u);
}

TEST_F(StaticMemberTest, AFullGroupTakesItBack) {
  options_.group_size_max = 2;
  restart();
  two_static_members();
  EXPECT_EQ(joined(join(static_consumer("a"))).error, ErrorCode::kNone);
  EXPECT_EQ(joined(join(static_consumer("c"))).error, ErrorCode::kGroupMaxSizeReached);
}

}  // namespace
}  // namespace tributary
