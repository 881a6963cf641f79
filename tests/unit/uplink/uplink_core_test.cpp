#include "tests/unit/uplink/uplink_fixture.h"

namespace tributary {
namespace {

TEST_F(UplinkCoreTest, NothingIsSentBeforeTheLeaderIsKnown) {
  offer(1);
  tick();
  EXPECT_TRUE(actions_.produces.empty());
  EXPECT_EQ(actions_.metadata.size(), 1u);
  EXPECT_EQ(actions_.metadata[0].second, std::vector<std::string>{"readings"});
  metadata({{"readings", ErrorCode::kNone, {BrokerId(7)}}});
  ASSERT_EQ(actions_.produces.size(), 1u);
  EXPECT_EQ(last().leader, BrokerId(7));
  EXPECT_EQ(actions_.reachables, std::vector<bool>{true});
  EXPECT_EQ(actions_.counts, (std::vector<std::pair<std::string, std::int32_t>>{{"readings", 1}}));
}

TEST_F(UplinkCoreTest, OneRequestCarriesABatchOfEachPartitionOfALeader) {
  reach();
  offer(1, kFirst);
  offer(2, kSecond);
  offer(3, kFirst);
  tick();
  ASSERT_EQ(actions_.produces.size(), 1u);
  EXPECT_EQ(last().batches.size(), 2u);
  answer(last());
  EXPECT_THAT(actions_.acks, testing::UnorderedElementsAre(1, 2));
  EXPECT_EQ(last().batches.size(), 1u);
  EXPECT_EQ(last().batches[0].id, BatchId(3));
}

TEST_F(UplinkCoreTest, PartitionsOfDifferentLeadersGoToThem) {
  reach({BrokerId(1), BrokerId(2)});
  offer(1, kFirst);
  offer(2, kSecond);
  tick();
  ASSERT_EQ(actions_.produces.size(), 2u);
  EXPECT_NE(actions_.produces[0].leader, actions_.produces[1].leader);
}

TEST_F(UplinkCoreTest, RequestsAndBytesInFlightAreBounded) {
  reach();
  offer(1, kFirst);
  tick();
  answer(last());
  for (std::int64_t id = 2; id < 40; ++id) offer(id, kFirst, 3u << 20);
  tick();
  EXPECT_EQ(actions_.produces.size(), 1u + 2u);  // of 3 MiB each, of 8
  for (std::size_t i = 1; i < actions_.produces.size(); ++i) answer(actions_.produces[i]);
  EXPECT_EQ(actions_.acks.size(), 39u);
}

TEST_F(UplinkCoreTest, FiveBatchesOfAPartitionAreInFlightAtMost) {
  reach();
  for (std::int64_t id = 1; id < 20; ++id) offer(id);
  tick();
  answer(last());
  EXPECT_EQ(actions_.produces.size(), 1u + 5u);
}

TEST_F(UplinkCoreTest, ADuplicateIsAnAcknowledgement) {
  reach();
  offer(1);
  tick();
  answer(last(), ErrorCode::kDuplicateSequenceNumber);
  EXPECT_EQ(actions_.acks, Ids{1});
}

TEST_F(UplinkCoreTest, AMovedLeaderIsAskedForAndFollowed) {
  reach({BrokerId(1), BrokerId(1)});
  offer(1);
  tick();
  answer(last(), ErrorCode::kNotLeaderOrFollower);
  run(1s);
  EXPECT_EQ(actions_.produces.size(), 1u);  // not again to the old one
  EXPECT_EQ(actions_.metadata.size(), 2u);
  metadata({{"readings", ErrorCode::kNone, {BrokerId(2), BrokerId(1)}}});
  ASSERT_EQ(actions_.produces.size(), 2u);
  EXPECT_EQ(last().leader, BrokerId(2));
  EXPECT_TRUE(actions_.said.empty());
}

TEST_F(UplinkCoreTest, ALostRequestIsSentAgainOnceTheClusterAnswers) {
  reach();
  offer(1);
  tick();
  core_.produce_done(now_, last().id, fail(Errc::kUnavailable, "the connection was lost"));
  tick();
  run(1s);
  EXPECT_EQ(actions_.produces.size(), 1u);
  metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0)}}});
  EXPECT_EQ(actions_.produces.size(), 2u);
  EXPECT_EQ(actions_.reachables, std::vector<bool>{true});  // it was never away
}

TEST_F(UplinkCoreTest, RetriesAreDelayedMoreAndMore) {
  reach();
  offer(1);
  tick();
  std::vector<Duration> gaps;
  for (int i = 0; i < 12; ++i) {
    const auto failed_at = now_;
    const auto count = actions_.produces.size();
    answer(last(), ErrorCode::kNotEnoughReplicas);
    while (actions_.produces.size() == count) {
      now_ = core_.next_time();
      tick();
      if (actions_.metadata.size() > 1 && actions_.metadata.back().first != answered_) {
        answered_ = actions_.metadata.back().first;
        metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0)}}});
      }
    }
    gaps.push_back(now_ - failed_at);
  }
  EXPECT_GE(gaps[0], 50ms);
  EXPECT_LE(gaps[0], 100ms);
  EXPECT_GE(gaps.back(), 2500ms);
  EXPECT_LE(gaps.back(), 5s);
  EXPECT_EQ(actions_.said.size(), 1u);  // after ten failures
}

TEST_F(UplinkCoreTest, AnUnreachableClusterIsSaidOnceAMinute) {
  core_.want_topic(now_, "readings", 1);
  tick();
  const auto start = now_;
  std::size_t failures = 0;
  while (now_ < start + 10min) {
    if (actions_.metadata.size() > failures) {
      ++failures;
      metadata_fails();
    }
    now_ = core_.next_time();
    tick();
  }
  EXPECT_GT(failures, 100u);
  EXPECT_LE(actions_.said.size(), 11u);
  EXPECT_GE(actions_.said.size(), 9u);
  EXPECT_THAT(actions_.said[0], testing::HasSubstr("no answer in time"));
  EXPECT_TRUE(actions_.reachables.empty());
  metadata({});
  EXPECT_EQ(actions_.reachables, std::vector<bool>{true});
  EXPECT_EQ(actions_.said.back(), "the cluster answers");
}

TEST_F(UplinkCoreTest, SilenceIsNoticedThoughTheRequestIsStillUnderWay) {
  reach();
  offer(1);
  run(2900ms);
  EXPECT_EQ(actions_.metadata.size(), 1u);
  run(200ms);
  ASSERT_EQ(actions_.metadata.size(), 2u);
  metadata_fails();
  EXPECT_EQ(actions_.reachables, (std::vector<bool>{true, false}));
  // The answer may come after all.
  answer(last());
  EXPECT_EQ(actions_.acks, Ids{1});
}

TEST_F(UplinkCoreTest, ALostConnectionIsLookedIntoAtOnce) {
  reach();
  core_.connection_changed(now_);
  tick();
  EXPECT_EQ(actions_.metadata.size(), 2u);
}

TEST_F(UplinkCoreTest, PartitionCountsAreToldAgainOnEachConnection) {
  reach();
  core_.connection_changed(now_);
  tick();
  metadata_fails();
  run(200ms);
  metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0)}}});
  EXPECT_EQ(actions_.counts.size(), 2u);
  run(31s);
  metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0), BrokerId(0)}}});
  EXPECT_EQ(actions_.counts.size(), 3u);
  EXPECT_EQ(actions_.counts.back().second, 3);
}

TEST_F(UplinkCoreTest, AMissingTopicIsCreated) {
  core_.want_topic(now_, "readings", 6);
  tick();
  metadata({{"readings", ErrorCode::kUnknownTopicOrPartition, {}}});
  ASSERT_EQ(actions_.creations.size(), 1u);
  EXPECT_EQ(actions_.creations[0], std::make_tuple(std::get<0>(actions_.creations[0]), "readings", 6));
  EXPECT_TRUE(actions_.counts.empty());
  core_.create_topic_done(now_, std::get<0>(actions_.creations[0]), ErrorCode::kNone);
  tick();
  run(200ms);
  metadata({{"readings", ErrorCode::kNone, std::vector<BrokerId>(6, BrokerId(0))}});
  EXPECT_EQ(actions_.counts.back().second, 6);
}

TEST_F(UplinkCoreTest, ATopicThatCannotBeCreatedIsTriedAgainAndSaidOnceAMinute) {
  core_.want_topic(now_, "readings", 6);
  tick();
  const auto start = now_;
  std::size_t metadata_answered = 0, creations_answered = 0;
  while (now_ < start + 5min) {
    if (actions_.metadata.size() > metadata_answered) {
      metadata_answered = actions_.metadata.size();
      metadata({{"readings", ErrorCode::kUnknownTopicOrPartition, {}}});
    }
    if (actions_.creations.size() > creations_answered) {
      core_.create_topic_done(now_, std::get<0>(actions_.creations[creations_answered++]),
                              ErrorCode::kTopicAuthorizationFailed);
      tick();
    }
    const auto next = core_.next_time();
    ASSERT_GT(next, now_);
    now_ = next;
    tick();
  }
  EXPECT_GT(creations_answered, 8u);
  EXPECT_LT(creations_answered, 60u);
  EXPECT_LE(actions_.said.size(), 6u);
  EXPECT_THAT(actions_.said[0], testing::HasSubstr("TOPIC_AUTHORIZATION_FAILED"));
}

TEST_F(UplinkCoreTest, AnAnswerThatForgetsAPartitionIsAFailureOfThatOne) {
  reach();
  offer(1, kFirst);
  offer(2, kSecond);
  tick();
  core_.produce_done(now_, last().id, std::vector<ProduceOutcome>{{kFirst, ErrorCode::kNone, ""}});
  tick();
  EXPECT_EQ(actions_.acks, Ids{1});
  run(1s);
  ASSERT_EQ(actions_.produces.size(), 2u);
  EXPECT_EQ(last().batches[0].id, BatchId(2));
}

TEST_F(UplinkCoreTest, AnIdleUplinkHardlyTalks) {
  reach();
  offer(1);
  tick();
  answer(last());
  const auto start = now_;
  std::size_t answered = 1;
  while (now_ < start + 10min) {
    if (actions_.metadata.size() > answered) {
      answered = actions_.metadata.size();
      metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0)}}});
    }
    now_ = core_.next_time();
    tick();
  }
  EXPECT_LE(answered, 22u);
}

}  // namespace
}  // namespace tributary
