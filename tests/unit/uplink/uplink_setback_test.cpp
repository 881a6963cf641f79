// Batches that cannot get into the log as they are.

#include "tests/unit/uplink/uplink_fixture.h"

namespace tributary {
namespace {

class UplinkSetbackTest : public UplinkCoreTest {
 protected:
  using Outcomes = std::vector<std::pair<TopicPartition, ErrorCode>>;

  void answer_each(const RecordedActions::Produce& produce, const Outcomes& codes) {
    std::vector<ProduceOutcome> outcomes;
    for (const auto& [destination, code] : codes) outcomes.push_back({destination, code, "because"});
    core_.produce_done(now_, produce.id, outcomes);
    tick();
  }
  /// Lets time pass until the next Produce request.
  void await_produce() {
    const auto count = actions_.produces.size();
    for (int steps = 0; actions_.produces.size() == count && steps < 1000; ++steps) {
      now_ = std::max(core_.next_time(), now_);
      tick();
      if (!actions_.metadata.empty() && actions_.metadata.back().first != answered_) {
        answered_ = actions_.metadata.back().first;
        metadata({{"readings", ErrorCode::kNone, {BrokerId(0), BrokerId(0)}}});
      }
    }
    ASSERT_GT(actions_.produces.size(), count);
  }
  void reach_both() {
    reach();
    answered_ = actions_.metadata.back().first;
  }
  void offer_anew(std::int64_t id, const TopicPartition& destination = kFirst) {
    core_.offer(now_, test_batch(id, destination, 0, 1, ProducerEpoch(1)));
    tick();
  }
};

TEST_F(UplinkSetbackTest, ARefusedBatchIsToldAndOthersOfItsPartitionAreForgotten) {
  reach_both();
  offer(1);
  offer(2);
  offer(3, kSecond);
  tick();
  answer_each(last(), {{kFirst, ErrorCode::kInvalidRecord}, {kSecond, ErrorCode::kNone}});
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].id, 1);
  EXPECT_EQ(actions_.setbacks[0].setback, Setback::kRefused);
  EXPECT_EQ(actions_.setbacks[0].reason, "batch 1 for readings-0 is refused: INVALID_RECORD: because");
  EXPECT_EQ(actions_.acks, Ids{3});
  EXPECT_EQ(actions_.produces.size(), 1u);
  offer_anew(2);
  EXPECT_EQ(last().batches[0].epoch, ProducerEpoch(1));
}

TEST_F(UplinkSetbackTest, OnlyWhatIsABatchsOwnFaultIsRefused) {
  for (const auto code : {ErrorCode::kMessageTooLarge, ErrorCode::kRecordListTooLarge, ErrorCode::kCorruptMessage,
                          ErrorCode::kUnsupportedCompressionType, ErrorCode::kUnsupportedForMessageFormat}) {
    SCOPED_TRACE(fmt::format("{}", code));
    if (actions_.metadata.empty()) reach_both();
    actions_.said.clear();
    const auto id = static_cast<std::int64_t>(actions_.produces.size()) + 100;
    offer(id, kFirst, 100, 2);
    tick();
    for (int i = 0; i < 12; ++i) {
      answer(last(), code);
      await_produce();
      EXPECT_EQ(last().batches[0].id, BatchId(id));
    }
    EXPECT_TRUE(actions_.setbacks.empty());
    EXPECT_GE(actions_.said.size(), 1u);
    EXPECT_LE(actions_.said.size(), 5u);  // one a minute
    answer(last());
  }
}

TEST_F(UplinkSetbackTest, ASingleRecordThatIsTooLargeIsRefused) {
  reach_both();
  offer(1);
  tick();
  answer(last(), ErrorCode::kMessageTooLarge);
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].setback, Setback::kRefused);
}

TEST_F(UplinkSetbackTest, AFenceStopsItsPartitionAndNoOther) {
  reach_both();
  offer(1, kFirst);
  offer(2, kSecond);
  tick();
  answer_each(last(), {{kFirst, ErrorCode::kNone}, {kSecond, ErrorCode::kNone}});
  for (const auto id : {3, 5}) offer(id, kFirst);
  for (const auto id : {4, 6}) offer(id, kSecond);
  tick();
  ASSERT_EQ(actions_.produces.size(), 3u);  // each with one batch of both
  answer_each(actions_.produces[1], {{kFirst, ErrorCode::kNone}, {kSecond, ErrorCode::kInvalidProducerEpoch}});
  EXPECT_TRUE(actions_.setbacks.empty());  // the sixth is still under way
  answer_each(actions_.produces[2], {{kFirst, ErrorCode::kNetworkException}, {kSecond, ErrorCode::kProducerFenced}});
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].id, 4);
  EXPECT_EQ(actions_.setbacks[0].setback, Setback::kFenced);
  offer(8, kSecond);  // offered before the fence was known
  await_produce();
  ASSERT_EQ(last().batches.size(), 1u);  // the fifth's fate is not known: it is sent until it is
  EXPECT_EQ(last().batches[0].id, BatchId(5));
  answer(last());
  EXPECT_EQ(actions_.acks, (Ids{1, 2, 3, 5}));
  offer_anew(9, kSecond);
  EXPECT_EQ(last().batches[0].id, BatchId(9));
}

TEST_F(UplinkSetbackTest, AGapThatDoesNotCloseGivesThePartitionBack) {
  for (const auto code : {ErrorCode::kOutOfOrderSequenceNumber, ErrorCode::kUnknownProducerId}) {
    SCOPED_TRACE(fmt::format("{}", code));
    const auto partition = code == ErrorCode::kUnknownProducerId ? kFirst : kSecond;
    if (actions_.metadata.empty()) reach_both();
    actions_.setbacks.clear();
    const std::int64_t first = static_cast<std::int64_t>(actions_.produces.size()) + 100;
    offer(first, partition);
    offer(first + 1, partition);
    tick();
    int answers = 0;
    for (; actions_.setbacks.empty(); ++answers) {
      ASSERT_LT(answers, 50);
      EXPECT_EQ(last().batches[0].id, BatchId(first));
      answer(last(), code);
      if (actions_.setbacks.empty()) await_produce();
    }
    EXPECT_EQ(answers, options_.gap_tries);
    EXPECT_EQ(actions_.setbacks[0].id, first);
    EXPECT_EQ(actions_.setbacks[0].setback, Setback::kGap);
    const auto count = actions_.produces.size();
    run(1s);
    EXPECT_EQ(actions_.produces.size(), count);  // what stood behind it is forgotten
    offer_anew(first + 2, partition);
    EXPECT_EQ(last().batches[0].id, BatchId(first + 2));
    answer(last());
  }
}

// The topic was deleted and made anew while five were in flight.
TEST_F(UplinkSetbackTest, BatchesThatTheLogHasBehindAGapAreAcknowledgedBeforeItIsTold) {
  reach_both();
  offer(1);
  tick();
  answer(last());
  for (const auto id : {2, 3, 4, 5}) offer(id);
  tick();
  const auto flight = actions_.produces;
  ASSERT_EQ(flight.size(), 5u);
  answer(flight[1], ErrorCode::kNetworkException);
  answer(flight[2], ErrorCode::kNetworkException);
  answer(flight[3]);
  answer(flight[4]);
  EXPECT_EQ(actions_.acks, Ids{1});
  for (int i = 0; i < options_.gap_tries; ++i) {
    if (i > 0) await_produce();
    EXPECT_EQ(last().batches[0].id, BatchId(2));
    answer(last(), ErrorCode::kOutOfOrderSequenceNumber);
  }
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].acks_before, 3u);
  EXPECT_EQ(actions_.acks, (Ids{1, 4, 5}));
}

// The topic was made anew with one partition instead of two.
TEST_F(UplinkSetbackTest, ThePartitionThatIsGoneIsGivenBackOnceItsFlightHasLanded) {
  reach_both();
  offer(1, kSecond);
  offer(2, kSecond);
  offer(3, kFirst);
  tick();
  core_.connection_changed(now_);
  tick();
  metadata({{"readings", ErrorCode::kNone, {BrokerId(0)}}});
  EXPECT_EQ(actions_.counts.back().second, 1);
  EXPECT_TRUE(actions_.setbacks.empty());
  answer(last(), ErrorCode::kUnknownTopicOrPartition);
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].id, 1);
  EXPECT_EQ(actions_.setbacks[0].setback, Setback::kGap);
  offer(4, kSecond);  // of the same epoch: offered before it was known
  tick();
  EXPECT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(core_.unacknowledged(), 1u);
}

TEST_F(UplinkSetbackTest, WhatIsOfferedForAPartitionThatIsNotThereIsGivenBackAtOnce) {
  reach({BrokerId(0)});
  offer(1, kSecond);
  ASSERT_EQ(actions_.setbacks.size(), 1u);
  EXPECT_EQ(actions_.setbacks[0].id, 1);
}

// While it is deleted and made anew nobody knows how many it will have.
TEST_F(UplinkSetbackTest, ATopicThatIsNotThereGivesNothingBack) {
  reach_both();
  offer(1, kSecond);
  tick();
  answer(last(), ErrorCode::kUnknownTopicOrPartition);
  metadata({{"readings", ErrorCode::kUnknownTopicOrPartition, {}}});
  offer(2, kSecond);
  tick();
  EXPECT_TRUE(actions_.setbacks.empty());
  EXPECT_EQ(core_.unacknowledged(), 2u);
}

TEST_F(UplinkSetbackTest, ABatchBehindAFailedOneMayBeOutOfOrderAsOftenAsItLikes) {
  reach_both();
  offer(1);
  tick();
  answer(last());
  for (std::int64_t id = 2; id < 50; id += 2) {
    const auto before = actions_.produces.size();
    offer(id);
    offer(id + 1);
    tick();
    ASSERT_EQ(actions_.produces.size(), before + 2);
    answer(actions_.produces[before], ErrorCode::kNotEnoughReplicas);
    answer(actions_.produces[before + 1], ErrorCode::kOutOfOrderSequenceNumber);
    await_produce();
    answer(last());
    EXPECT_EQ(last().batches[0].id, BatchId(id + 1));
    answer(last());
  }
  EXPECT_TRUE(actions_.setbacks.empty());
  EXPECT_EQ(actions_.acks.size(), 49u);
}

}  // namespace
}  // namespace tributary
