#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using testing::StartsWith;

class JoinTest : public GroupTest {};

TEST_F(JoinTest, TheFirstGenerationWaitsForMoreMembers) {
  const auto first = join(consumer());
  run(2999ms);
  EXPECT_FALSE(answered(first));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
  run(1ms);
  EXPECT_EQ(state(), GroupState::kCompletingRebalance);
  const auto result = joined(first);
  EXPECT_EQ(result.error, ErrorCode::kNone);
  EXPECT_EQ(result.generation_id, 1);
  EXPECT_EQ(result.protocol_type, "consumer");
  EXPECT_EQ(result.protocol_name, "range");
  EXPECT_EQ(result.leader, result.member_id);
  EXPECT_THAT(result.member_id, StartsWith("client-"));
  ASSERT_THAT(result.members, SizeIs(1));
  EXPECT_EQ(result.members[0].metadata, subscription_to({"readings"}));
}

TEST_F(JoinTest, EveryMemberThatComesDelaysTheFirstGenerationButNotForEver) {
  std::vector<ReplyToken> joins{join(consumer())};
  for (int seconds = 0; seconds < 59; ++seconds) {
    run(1s);
    ASSERT_FALSE(answered(joins[0])) << seconds;
    joins.push_back(join(consumer()));
  }
  run(1s);  // the rebalance timeout has passed
  for (const auto token : joins) EXPECT_EQ(joined(token).generation_id, 1);
}

TEST_F(JoinTest, WithoutADelayTheFirstMemberIsAnsweredAtOnce) {
  options_.initial_rebalance_delay_ms = 0;
  restart();
  EXPECT_EQ(joined(join(consumer())).generation_id, 1);
}

TEST_F(JoinTest, OneMemberLeadsAndOnlyItIsToldOfTheOthers) {
  const std::vector joins{join(consumer()), join(consumer()), join(consumer())};
  run(6s);
  const auto leader = joined(joins[0]).leader;
  int leaders = 0;
  for (const auto token : joins) {
    const auto result = joined(token);
    EXPECT_EQ(result.leader, leader);
    EXPECT_EQ(result.generation_id, 1);
    leaders += result.member_id == leader ? 1 : 0;
    EXPECT_THAT(result.members, SizeIs(result.member_id == leader ? 3 : 0));
  }
  EXPECT_EQ(leaders, 1);
}

TEST_F(JoinTest, ANewMemberIsToldToComeBackWithItsId) {
  auto request = consumer();
  request.member_id_required = true;
  const auto first = joined(join(request));
  EXPECT_EQ(first.error, ErrorCode::kMemberIdRequired);
  EXPECT_THAT(first.member_id, StartsWith("client-"));
  EXPECT_EQ(first.member_id.size(), std::string("client-").size() + 36);
  EXPECT_EQ(member_count(), 0u);

  request.member_id = first.member_id;
  const auto second = join(request);
  run(3s);
  EXPECT_EQ(joined(second).error, ErrorCode::kNone);
  EXPECT_EQ(joined(second).member_id, first.member_id);
}

TEST_F(JoinTest, AnIdThatIsNotUsedExpiresAndTheGroupIsForgotten) {
  auto request = consumer();
  request.member_id_required = true;
  request.member_id = joined(join(request)).member_id;
  EXPECT_EQ(coordinator_->group_count(), 1u);
  run(10s);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  EXPECT_TRUE(appends_.empty());
  EXPECT_EQ(coordinator_->next_deadline(), MonoTime::max());
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kUnknownMemberId);
}

TEST_F(JoinTest, ARebalanceWaitsForAMemberThatWasGivenAnId) {
  const auto ids = stable_group(1);
  auto request = consumer();
  request.member_id_required = true;
  request.member_id = joined(join(request)).member_id;
  const auto leader = join(consumer(ids[0]));
  EXPECT_FALSE(answered(leader));
  const auto second = join(request);
  EXPECT_EQ(joined(leader).generation_id, 2);
  EXPECT_EQ(joined(second).generation_id, 2);
  EXPECT_THAT(joined(leader).members, SizeIs(2));
}

TEST_F(JoinTest, AnIdThatNobodyGaveIsUnknown) {
  EXPECT_EQ(joined(join(consumer("stranger"))).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  stable_group(1);
  const auto result = joined(join(consumer("stranger")));
  EXPECT_EQ(result.error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(result.member_id, "stranger");
}

TEST_F(JoinTest, SessionTimeoutsOutsideTheLimitsAreRefused) {
  auto request = consumer();
  request.session_timeout_ms = 5'999;
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInvalidSessionTimeout);
  request.session_timeout_ms = 1'800'001;
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(JoinTest, GroupIdsAreNotEmptyAndNotTooLong) {
  auto request = consumer();
  request.group_id = "";
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInvalidGroupId);
  request.group_id = std::string(1'025, 'g');
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInvalidGroupId);
  request.group_id = std::string(1'024, 'g');
  const auto token = join(request);
  run(3s);
  EXPECT_EQ(joined(token).error, ErrorCode::kNone);
}

TEST_F(JoinTest, AProtocolOfAllMembersIsNeeded) {
  auto other = consumer();
  other.protocols = {{"sticky", {}}};
  auto empty = consumer();
  empty.protocols.clear();
  auto connect = consumer();
  connect.protocol_type = "connect";
  auto no_type = consumer();
  no_type.protocol_type = "";
  for (const auto& request : {empty, no_type})
    EXPECT_EQ(joined(join(request)).error, ErrorCode::kInconsistentGroupProtocol);
  stable_group(1);
  for (const auto& request : {other, empty, connect, no_type})
    EXPECT_EQ(joined(join(request)).error, ErrorCode::kInconsistentGroupProtocol);
}

TEST_F(JoinTest, NamesThatDoNotFitIntoRecordsAreRefused) {
  auto request = consumer();
  request.protocol_type = std::string(0x8000, 't');
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInconsistentGroupProtocol);
  request = consumer();
  request.protocols[1].name.assign(0x8000, 'p');
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(joined(join(static_consumer("not a name!"))).error, ErrorCode::kInvalidConfig);
  EXPECT_EQ(joined(join(static_consumer(std::string(250, 'i')))).error, ErrorCode::kInvalidConfig);
}

TEST_F(JoinTest, ALongClientIdIsCutBetweenCharacters) {
  auto request = consumer();
  request.client_id.clear();
  for (int i = 0; i < 200; ++i) request.client_id += "ü";
  const auto token = join(request);
  run(3s);
  EXPECT_EQ(joined(token).member_id.size(), 254u + 37u);
}

TEST_F(JoinTest, TheProtocolWithMostVotesOfThoseThatAllSupportIsChosen) {
  const auto with = [](std::vector<std::string> names) {
    auto request = consumer();
    request.protocols.clear();
    for (auto& name : names) request.protocols.push_back({name, bytes_of(name)});
    return request;
  };
  const auto first = join(with({"sticky", "range", "roundrobin"}));
  const auto second = join(with({"roundrobin", "range"}));
  const auto third = join(with({"roundrobin", "roundrobin", "range"}));  // a name counts once
  run(6s);
  EXPECT_EQ(joined(first).protocol_name, "roundrobin");
  EXPECT_EQ(joined(second).protocol_name, "roundrobin");
  for (const auto token : {first, second, third})
    for (const auto& member : joined(token).members) EXPECT_EQ(member.metadata, bytes_of("roundrobin"));
}

TEST_F(JoinTest, AFullGroupTakesNobodyElse) {
  options_.group_size_max = 2;
  restart();
  const std::vector joins{join(consumer()), join(consumer())};
  EXPECT_EQ(joined(join(consumer())).error, ErrorCode::kGroupMaxSizeReached);
  run(6s);
  sync_all(joins);
  const auto refused = joined(join(consumer()));
  EXPECT_EQ(refused.error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_TRUE(refused.member_id.empty());
  EXPECT_EQ(state(), GroupState::kStable);
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(JoinTest, NoMoreIdsAreGivenThanAGroupMayHaveMembers) {
  options_.group_size_max = 2;
  restart();
  auto request = consumer();
  request.member_id_required = true;
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kGroupMaxSizeReached);
  run(10s);
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kMemberIdRequired);
}

TEST_F(JoinTest, AGroupOverALoweredLimitLosesWhoComesBackLast) {
  const auto ids = stable_group(3);
  options_.group_size_max = 2;
  restart();
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
  const auto first = join(consumer(ids[2]));
  const auto second = join(consumer(ids[1]));
  EXPECT_FALSE(answered(second));
  EXPECT_EQ(joined(join(consumer(ids[0]))).error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(joined(first).generation_id, 2);
  EXPECT_EQ(joined(second).generation_id, 2);
}

TEST_F(JoinTest, ANewMemberOfAStableGroupStartsARebalance) {
  const auto ids = stable_group(2);
  const auto newcomer = join(consumer());
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kRebalanceInProgress);
  const auto first = join(consumer(ids[0]));
  EXPECT_FALSE(answered(newcomer));
  const auto second = join(consumer(ids[1]));
  EXPECT_EQ(sync_all({first, second, newcomer}), 2);
  EXPECT_EQ(state(), GroupState::kStable);
}

TEST_F(JoinTest, WhoDoesNotJoinAgainInTimeIsRemoved) {
  const auto ids = stable_group(3);
  const auto first = join(consumer(ids[0]));
  const auto second = join(consumer(ids[1]));
  for (int i = 0; i < 59; ++i) {
    run(1s);
    EXPECT_EQ(heartbeat(ids[2], 1), ErrorCode::kRebalanceInProgress);
  }
  EXPECT_FALSE(answered(first));
  run(1s);
  EXPECT_EQ(joined(first).generation_id, 2);
  EXPECT_EQ(joined(second).generation_id, 2);
  EXPECT_EQ(heartbeat(ids[2], 2), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(member_count(), 2u);
}

TEST_F(JoinTest, ALeaderThatDoesNotJoinAgainGivesWay) {
  const auto ids = stable_group(2);
  auto changed = consumer(ids[1], {"readings", "alarms"});
  const auto follower = join(changed);
  run(60s);
  EXPECT_EQ(joined(follower).leader, ids[1]);
  EXPECT_THAT(joined(follower).members, SizeIs(1));
}

TEST_F(JoinTest, AFollowerWithNothingNewGetsTheGenerationAgain) {
  const auto ids = stable_group(2);
  const auto again = joined(join(consumer(ids[1])));
  EXPECT_EQ(again.generation_id, 1);
  EXPECT_EQ(again.leader, ids[0]);
  EXPECT_TRUE(again.members.empty());
  EXPECT_EQ(state(), GroupState::kStable);
}

TEST_F(JoinTest, AFollowerWithOtherTopicsStartsARebalance) {
  const auto ids = stable_group(2);
  const auto token = join(consumer(ids[1], {"alarms"}));
  EXPECT_FALSE(answered(token));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(JoinTest, TheLeaderOfAStableGroupStartsARebalanceByJoining) {
  const auto ids = stable_group(2);
  EXPECT_FALSE(answered(join(consumer(ids[0]))));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
}

TEST_F(JoinTest, WhoMissedTheAnswerGetsItAgain) {
  const std::vector joins{join(consumer()), join(consumer())};
  run(6s);
  for (const auto token : joins) {
    const auto again = joined(join(consumer(joined(token).member_id)));
    EXPECT_EQ(again.generation_id, 1);
    EXPECT_EQ(again.leader, joined(token).leader);
    EXPECT_EQ(again.members.size(), joined(token).members.size());
  }
  EXPECT_EQ(state(), GroupState::kCompletingRebalance);
}

TEST_F(JoinTest, WhoChangesItsTopicsBeforeTheSyncStartsARebalance) {
  const std::vector joins{join(consumer()), join(consumer())};
  run(6s);
  const auto waiting = sync(joined(joins[1]).member_id, 1);
  const auto token = join(consumer(joined(joins[0]).member_id, {"alarms"}));
  EXPECT_FALSE(answered(token));
  EXPECT_EQ(state(), GroupState::kPreparingRebalance);
  EXPECT_EQ(synced(waiting).error, ErrorCode::kRebalanceInProgress);
}

TEST_F(JoinTest, AJoinThatIsRepeatedTakesThePlaceOfTheFirst) {
  const auto ids = stable_group(2);
  const auto lost = join(consumer(ids[0]));
  const auto again = join(consumer(ids[0]));
  EXPECT_EQ(joined(lost).error, ErrorCode::kRebalanceInProgress);
  EXPECT_FALSE(answered(again));
  const auto other = join(consumer(ids[1]));
  EXPECT_EQ(sync_all({again, other}), 2);
}

TEST_F(JoinTest, ANewMemberThatGoesSilentInALongRebalanceIsRemovedAfterFiveMinutes) {
  const auto ids = stable_group(1);
  auto patient = consumer();
  patient.rebalance_timeout_ms = 600'000;
  const auto lost = join(patient);  // never told its id, so it joins once more
  for (int i = 0; i < 299; ++i) {
    run(1s);
    ASSERT_FALSE(answered(lost));
    EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kRebalanceInProgress);
  }
  run(1s);
  EXPECT_EQ(joined(lost).error, ErrorCode::kUnknownMemberId);
  EXPECT_TRUE(joined(lost).member_id.empty());
}

TEST_F(JoinTest, AGroupThatEveryoneLeftStartsAgainWithTheNextGeneration) {
  const auto ids = stable_group(1);
  EXPECT_EQ(leave({{ids[0], {}}}).members[0].error, ErrorCode::kNone);
  EXPECT_EQ(state(), GroupState::kEmpty);
  auto connect = consumer();
  connect.protocol_type = "connect";
  const auto token = join(connect);
  run(3s);
  EXPECT_EQ(joined(token).generation_id, 3);  // 2 was the empty one
  EXPECT_EQ(joined(token).protocol_type, "connect");
}

}  // namespace
}  // namespace tributary
