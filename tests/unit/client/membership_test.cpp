#include "cluster/client/membership.h"

#include <gtest/gtest.h>

#include "tests/unit/client/partitions.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;
using Kind = Membership::Step::Kind;
using Phase = Membership::Phase;

/// A membership, a clock, and a coordinator that answers what the test says.
class MembershipTest : public testing::Test {
 protected:
  explicit MembershipTest(Membership::Options options = MembershipTest::options()) : member_(std::move(options)) {
    member_.consumer_back();
  }

  /// The next step must be this one; its id.
  std::uint64_t expect(Kind kind) {
    const auto step = member_.next(now());
    EXPECT_TRUE(step) << "no step";
    if (!step) return 0;
    EXPECT_EQ(static_cast<int>(step->kind), static_cast<int>(kind));
    return step->id;
  }
  void expect_nothing() { EXPECT_FALSE(member_.next(now())); }
  void advance(Duration by) { clock_.advance(by); }
  MonoTime now() { return clock_.mono_now(); }
  /// As far as a clock that follows wake_at() goes.
  void advance_to_wake() {
    ASSERT_LT(member_.wake_at(), MonoTime::max());
    if (member_.wake_at() > now()) advance(member_.wake_at() - now());
  }

  void find() { member_.coordinator_found(expect(Kind::kFindCoordinator)); }
  Membership::Joined answer(ErrorCode error) { return {error, "", kNoGenerationId, "", "", {}}; }
  void join(std::int32_t generation, const std::string& leader = "other") {
    Membership::Joined joined{ErrorCode::kNone, "me", GenerationId(generation), "range", leader, {}};
    if (leader == "me") joined.members = {{"me", {{1}, {}}}, {"other", {{2}, {}}}};
    member_.joined(now(), expect(Kind::kJoin), joined);
  }
  void sync(std::vector<TopicPartition> partitions) {
    member_.synced(now(), expect(Kind::kSync), ErrorCode::kNone, std::move(partitions));
  }
  void become_stable(std::int32_t generation = 5) {
    member_.consent(member_.assignment());
    find();
    join(generation);
    sync({kFirst});
    ASSERT_EQ(member_.phase(), Phase::kStable);
  }
  void beat(ErrorCode error) {
    advance_to_wake();
    member_.heartbeat_answered(now(), expect(Kind::kHeartbeat), error);
  }

  static Membership::Options options() {
    return {.session_timeout = 10s, .heartbeat_interval = 1s, .absence_max = 60s,
            .backoff = [](int attempt) { return 100ms * (attempt + 1); }};
  }

  FakeClock clock_;
  Membership member_;
};

TEST_F(MembershipTest, WaitsForTheConsumerBeforeItJoins) {
  expect_nothing();
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  EXPECT_EQ(member_.wake_at(), MonoTime::max());
}

TEST_F(MembershipTest, JoinsWithTheIdThatItIsGivenAndFollowsTheLeader) {
  member_.consent(member_.assignment());
  find();
  auto required = answer(ErrorCode::kMemberIdRequired);
  required.member_id = "me";
  member_.joined(now(), expect(Kind::kJoin), required);
  EXPECT_EQ(member_.member_id(), "me");
  join(5);
  EXPECT_FALSE(member_.leader());
  EXPECT_TRUE(member_.assignments().empty());
  sync({kFirst, kSecond});
  EXPECT_EQ(member_.phase(), Phase::kStable);
  EXPECT_EQ(member_.partitions(), (std::vector{kFirst, kSecond}));
  EXPECT_EQ(member_.generation(), GenerationId(5));
  expect_nothing();
}

TEST_F(MembershipTest, TheLeaderSharesOutBeforeItSyncs) {
  member_.consent(member_.assignment());
  find();
  join(5, "me");
  EXPECT_EQ(member_.members().size(), 2u);
  member_.assigned(expect(Kind::kAssign), {{"me", {7}}, {"other", {8}}});
  const auto id = expect(Kind::kSync);
  EXPECT_EQ(member_.assignments().at("other"), Bytes{8});
  member_.synced(now(), id, ErrorCode::kNone, {kFirst});
  EXPECT_TRUE(member_.leader());
}

TEST_F(MembershipTest, ALeaderThatCannotShareOutJoinsAgain) {
  member_.consent(member_.assignment());
  find();
  join(5, "me");
  member_.failed_to_assign(now(), expect(Kind::kAssign), {Errc::kUnavailable, "no metadata"});
  EXPECT_EQ(member_.take_trouble()->message, "no metadata");
  expect_nothing();
  advance_to_wake();
  expect(Kind::kJoin);
}

TEST_F(MembershipTest, BeatsAtTheIntervalAndOneAtATime) {
  become_stable();
  EXPECT_EQ(member_.wake_at(), now() + 1s);
  advance(1s);
  const auto id = expect(Kind::kHeartbeat);
  advance(1s);
  expect_nothing();
  member_.heartbeat_answered(now(), id, ErrorCode::kNone);
  expect_nothing();
  advance(1s);
  expect(Kind::kHeartbeat);
}

TEST_F(MembershipTest, ARebalanceWaitsForTheConsumerAndBeatsMeanwhile) {
  become_stable();
  beat(ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  EXPECT_EQ(member_.partitions(), std::vector{kFirst});
  beat(ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  const auto before = member_.assignment();
  member_.consent(member_.assignment());
  EXPECT_TRUE(member_.partitions().empty());
  EXPECT_EQ(member_.member_id(), "me");
  join(6);
  sync({kSecond});
  EXPECT_EQ(member_.partitions(), std::vector{kSecond});
  EXPECT_NE(member_.assignment(), before);
}

TEST_F(MembershipTest, ACommitTellsOfARebalanceToo) {
  become_stable(5);
  member_.committed(now(), GenerationId(4), ErrorCode::kIllegalGeneration);  // of an older generation: known already
  EXPECT_EQ(member_.phase(), Phase::kStable);
  member_.committed(now(), GenerationId(5), ErrorCode::kOffsetMetadataTooLarge);
  EXPECT_EQ(member_.phase(), Phase::kStable);
  member_.committed(now(), GenerationId(5), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
}

TEST_F(MembershipTest, AnIllegalGenerationLosesThePartitionsAndKeepsTheId) {
  become_stable();
  beat(ErrorCode::kIllegalGeneration);
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  EXPECT_TRUE(member_.partitions().empty());
  expect_nothing();
  member_.consent(member_.assignment());
  expect(Kind::kJoin);
  EXPECT_EQ(member_.member_id(), "me");
}

TEST_F(MembershipTest, AnUnknownMemberComesBackAsANewOne) {
  become_stable();
  beat(ErrorCode::kUnknownMemberId);
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  member_.consent(member_.assignment());
  EXPECT_EQ(member_.member_id(), "");
  member_.joined(now(), expect(Kind::kJoin), answer(ErrorCode::kUnknownMemberId));
  expect_nothing();
  advance_to_wake();
  expect(Kind::kJoin);
}

TEST_F(MembershipTest, ARebalanceBetweenJoinAndSyncIsJoinedWithoutTheConsumer) {
  member_.consent(member_.assignment());
  find();
  for (const auto error : {ErrorCode::kRebalanceInProgress, ErrorCode::kIllegalGeneration}) {
    join(5);
    member_.synced(now(), expect(Kind::kSync), error, {});
    EXPECT_EQ(member_.phase(), Phase::kJoining) << name_of(error);
    EXPECT_EQ(member_.member_id(), "me") << name_of(error);
    advance_to_wake();
  }
  join(7);
  sync({kFirst});
  EXPECT_EQ(member_.phase(), Phase::kStable);
}

TEST_F(MembershipTest, ACoordinatorThatMovesIsLookedForAndTheMembershipGoesOn) {
  become_stable();
  beat(ErrorCode::kNotCoordinator);
  EXPECT_EQ(member_.phase(), Phase::kStable);
  EXPECT_TRUE(member_.unreachable_since());
  expect_nothing();
  advance_to_wake();
  find();
  beat(ErrorCode::kNone);
  EXPECT_FALSE(member_.unreachable_since());
  EXPECT_EQ(member_.phase(), Phase::kStable);
}

TEST_F(MembershipTest, LookingForACoordinatorGoesOnWithGrowingPauses) {
  member_.consent(member_.assignment());
  for (int attempt = 1; attempt <= 3; ++attempt) {
    member_.failed_to_ask(now(), expect(Kind::kFindCoordinator), {Errc::kUnavailable, "nobody there"});
    EXPECT_EQ(member_.wake_at(), now() + 100ms * attempt);
    expect_nothing();
    advance_to_wake();
  }
  find();
  expect(Kind::kJoin);
}

TEST_F(MembershipTest, ALostJoinIsSentAgainOnceThereIsACoordinator) {
  member_.consent(member_.assignment());
  find();
  const auto lost = expect(Kind::kJoin);
  member_.failed_to_ask(now(), lost, {Errc::kUnavailable, "the connection was lost"});
  advance_to_wake();
  find();
  const auto again = expect(Kind::kJoin);
  member_.joined(now(), lost, {ErrorCode::kNone, "late", GenerationId(1), "range", "late", {}});
  EXPECT_EQ(member_.member_id(), "");
  member_.joined(now(), again, {ErrorCode::kNone, "me", GenerationId(2), "range", "other", {}});
  EXPECT_EQ(member_.member_id(), "me");
}

TEST_F(MembershipTest, ACoordinatorThatLoadsIsAskedAgain) {
  member_.consent(member_.assignment());
  find();
  member_.joined(now(), expect(Kind::kJoin), answer(ErrorCode::kCoordinatorLoadInProgress));
  expect_nothing();
  advance_to_wake();
  expect(Kind::kJoin);
}

TEST_F(MembershipTest, WithoutAnAnsweredHeartbeatThePartitionsAreLostWithTheSession) {
  become_stable();
  const auto joined_at = now();
  advance(1s);
  expect(Kind::kHeartbeat);
  EXPECT_EQ(member_.wake_at(), joined_at + 10s);
  advance(9s);
  expect_nothing();
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  EXPECT_EQ(member_.member_id(), "me");
  EXPECT_TRUE(member_.take_trouble());
}

TEST_F(MembershipTest, AConsumerThatStaysAwayLeavesAndComesBackAsANewMember) {
  become_stable();
  member_.consumer_away(now());
  for (int second = 1; second < 60; ++second) beat(ErrorCode::kNone);
  EXPECT_EQ(member_.phase(), Phase::kStable);
  advance(1s);
  const auto id = expect(Kind::kLeave);
  EXPECT_EQ(member_.leaving_member(), "me");
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  member_.left(id);
  expect_nothing();
  member_.consumer_back();
  member_.consent(member_.assignment());
  expect(Kind::kJoin);
  EXPECT_EQ(member_.member_id(), "");
}

TEST_F(MembershipTest, WhatTheCoordinatorRefusesIsForGood) {
  member_.consent(member_.assignment());
  find();
  member_.joined(now(), expect(Kind::kJoin), answer(ErrorCode::kInconsistentGroupProtocol));
  EXPECT_EQ(member_.phase(), Phase::kFailed);
  EXPECT_EQ(member_.failure()->code, Errc::kInvalidArgument);
  EXPECT_EQ(member_.failure()->message, "joining the group: INCONSISTENT_GROUP_PROTOCOL: this member has no assignor that all the others have");
  expect_nothing();
  EXPECT_EQ(member_.wake_at(), MonoTime::max());
}

TEST_F(MembershipTest, OtherPartitionsMakeARebalance) {
  become_stable();
  member_.rejoin();
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  member_.consent(member_.assignment());
  expect(Kind::kJoin);
}

TEST_F(MembershipTest, LeavesFromWhereverItIs) {
  become_stable();
  advance(1s);
  expect(Kind::kHeartbeat);
  member_.leave();
  const auto id = expect(Kind::kLeave);
  EXPECT_EQ(member_.leaving_member(), "me");
  member_.left(id);
  EXPECT_EQ(member_.phase(), Phase::kLeft);
  expect_nothing();
}

TEST_F(MembershipTest, WhoNeverJoinedHasNothingToLeave) {
  member_.leave();
  EXPECT_EQ(member_.phase(), Phase::kLeft);
  expect_nothing();
}

TEST_F(MembershipTest, ALeaveThatIsNotAnsweredIsLeftToTheSessionsTimeout) {
  become_stable();
  member_.leave();
  member_.failed_to_ask(now(), expect(Kind::kLeave), {Errc::kTimeout, "no answer"});
  EXPECT_EQ(member_.phase(), Phase::kLeft);
}

// ---- Cooperative

class CooperativeMembershipTest : public MembershipTest {
 protected:
  CooperativeMembershipTest() : MembershipTest(cooperative()) {}
  static Membership::Options cooperative() {
    auto cooperative = options();
    cooperative.cooperative = true;
    return cooperative;
  }
  void become_stable_with(std::vector<TopicPartition> partitions) {
    member_.consent(member_.assignment());
    find();
    join(5);
    sync(std::move(partitions));
  }
};

TEST_F(CooperativeMembershipTest, ARebalanceIsJoinedAtOnceAndTakesNothing) {
  become_stable_with({kFirst, kSecond});
  const auto holding = member_.holding();
  beat(ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(member_.phase(), Phase::kJoining);
  EXPECT_EQ(member_.held(), (std::vector{kFirst, kSecond}));
  EXPECT_EQ(member_.held_generation(), GenerationId(5));
  join(6);
  sync({kFirst, kSecond});
  EXPECT_EQ(member_.phase(), Phase::kStable);
  EXPECT_EQ(member_.holding(), holding);
  expect_nothing();
}

TEST_F(CooperativeMembershipTest, WhatIsTakenAwayIsClaimedUntilTheConsumerConsentsAndThenItJoinsOnceMore) {
  become_stable_with({kFirst, kSecond});
  beat(ErrorCode::kRebalanceInProgress);
  join(6);
  sync({kFirst});
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  EXPECT_EQ(member_.kept(), std::vector{kFirst});
  EXPECT_EQ(member_.held(), (std::vector{kFirst, kSecond}));
  beat(ErrorCode::kNone);
  member_.consent(member_.assignment());
  EXPECT_EQ(member_.held(), std::vector{kFirst});
  EXPECT_EQ(member_.held_generation(), GenerationId(6));
  join(7);
  sync({kFirst});
  EXPECT_EQ(member_.phase(), Phase::kStable);
}

TEST_F(CooperativeMembershipTest, AConsentToAnOlderAssignmentGivesNothingUp) {
  become_stable_with({kFirst, kSecond});
  beat(ErrorCode::kRebalanceInProgress);
  join(6);
  sync({kFirst});
  const auto older = member_.assignment();
  beat(ErrorCode::kRebalanceInProgress);
  member_.consent(older);
  EXPECT_EQ(member_.held(), (std::vector{kFirst, kSecond})) << "the join that is on its way claims both";
  join(7);
  sync({kFirst});
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  member_.consent(older);
  EXPECT_EQ(member_.phase(), Phase::kRevoking);
  member_.consent(member_.assignment());
  EXPECT_EQ(member_.held(), std::vector{kFirst});
  expect(Kind::kJoin);
}

TEST_F(CooperativeMembershipTest, ASyncThatARebalanceOvertakesClaimsTheGenerationThatGaveThePartitions) {
  become_stable_with({kFirst});
  beat(ErrorCode::kRebalanceInProgress);
  join(6);
  member_.synced(now(), expect(Kind::kSync), ErrorCode::kRebalanceInProgress, {});
  EXPECT_EQ(member_.held(), std::vector{kFirst});
  EXPECT_EQ(member_.held_generation(), GenerationId(5));
  EXPECT_NE(member_.holding(), 0u);
  advance_to_wake();
  expect(Kind::kJoin);
}

TEST_F(CooperativeMembershipTest, WhoWasForgottenWhileJoiningHasLostThePartitions) {
  become_stable_with({kFirst});
  beat(ErrorCode::kRebalanceInProgress);
  member_.joined(now(), expect(Kind::kJoin), answer(ErrorCode::kUnknownMemberId));
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  EXPECT_EQ(member_.holding(), 0u);
  EXPECT_TRUE(member_.held().empty());
  EXPECT_EQ(member_.held_generation(), kNoGenerationId);
}

TEST_F(CooperativeMembershipTest, WaitingForOthersIsNoEndOfTheSessionButACoordinatorThatIsGoneIs) {
  become_stable_with({kFirst});
  beat(ErrorCode::kRebalanceInProgress);
  const auto id = expect(Kind::kJoin);
  advance(30s);
  expect_nothing();
  EXPECT_NE(member_.holding(), 0u);
  member_.failed_to_ask(now(), id, {Errc::kUnavailable, "the connection was lost"});
  advance(9s);
  member_.failed_to_ask(now(), expect(Kind::kFindCoordinator), {Errc::kUnavailable, "nobody there"});
  EXPECT_NE(member_.holding(), 0u);
  advance(1s);
  (void)member_.next(now());
  EXPECT_EQ(member_.holding(), 0u);
  EXPECT_EQ(member_.phase(), Phase::kOutside);
}

TEST_F(CooperativeMembershipTest, AConsumerThatStaysAwayInARebalanceLosesItsPartitionsToo) {
  become_stable_with({kFirst});
  member_.consumer_away(now());
  advance(1s);
  member_.heartbeat_answered(now(), expect(Kind::kHeartbeat), ErrorCode::kRebalanceInProgress);
  expect(Kind::kJoin);
  advance(59s);
  expect(Kind::kLeave);
  EXPECT_EQ(member_.leaving_member(), "me");
  EXPECT_EQ(member_.phase(), Phase::kOutside);
}

TEST_F(CooperativeMembershipTest, OtherPartitionsAreSharedOutWithoutTheConsumer) {
  become_stable_with({kFirst});
  member_.rejoin();
  EXPECT_EQ(member_.phase(), Phase::kJoining);
  EXPECT_EQ(member_.held(), std::vector{kFirst});
  expect(Kind::kJoin);
}

// ---- Static

class StaticMembershipTest : public MembershipTest {
 protected:
  StaticMembershipTest() : MembershipTest(with_place()) {}
  static Membership::Options with_place() {
    auto with_place = options();
    with_place.is_static = true;
    return with_place;
  }
};

TEST_F(StaticMembershipTest, TellsNobodyThatItLeaves) {
  become_stable();
  member_.leave();
  EXPECT_EQ(member_.phase(), Phase::kLeft);
  expect_nothing();
}

TEST_F(StaticMembershipTest, AConsumerThatStaysAwayKeepsItsPlaceForTheSessionTimeout) {
  become_stable();
  member_.consumer_away(now());
  for (int second = 1; second < 60; ++second) beat(ErrorCode::kNone);
  advance(1s);
  expect_nothing();
  EXPECT_EQ(member_.phase(), Phase::kOutside);
  member_.consumer_back();
  member_.consent(member_.assignment());
  EXPECT_EQ(member_.member_id(), "") << "the coordinator knows it by its instance id";
  expect(Kind::kJoin);
}

TEST_F(StaticMembershipTest, WhosePlaceAnotherTookIsFencedForGood) {
  become_stable();
  beat(ErrorCode::kFencedInstanceId);
  EXPECT_EQ(member_.phase(), Phase::kFailed);
  EXPECT_EQ(member_.failure()->code, Errc::kFenced);
  EXPECT_EQ(member_.failure()->message, "heartbeat: FENCED_INSTANCE_ID: another member has come with the same instance id");
  EXPECT_EQ(member_.holding(), 0u);
  expect_nothing();
}

TEST_F(StaticMembershipTest, ACommitTellsOfTheFenceToo) {
  become_stable();
  member_.committed(now(), GenerationId(5), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(member_.failure()->code, Errc::kFenced);
}

TEST_F(StaticMembershipTest, ALeaderThatCameBackIsToldThatTheAssignmentStays) {
  member_.consent(member_.assignment());
  find();
  Membership::Joined joined{ErrorCode::kNone, "me", GenerationId(5), "range", "me", {{"me", {{1}, "place"}}}, true};
  member_.joined(now(), expect(Kind::kJoin), joined);
  EXPECT_TRUE(member_.skip_assignment());
  member_.assigned(expect(Kind::kAssign), {});
  sync({kFirst});
  EXPECT_TRUE(member_.leader());
}

}  // namespace
}  // namespace tributary
