// Several requests in flight on one connection, and the disk that they wait for.

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class PipeliningTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t", 2), ErrorCode::kNone);
  }
  std::future<Answer<ProduceResponse>> produce_later(const Bytes& batch, std::int32_t partition = 0,
                                                     std::int16_t acks = -1, std::int32_t timeout_ms = 10'000) {
    auto request = produce_request("t", partition, batch, acks);
    request.timeout_ms = timeout_ms;
    return send(*channel_, request, 9);
  }
  static bool is_answered(const std::future<Answer<ProduceResponse>>& future) {
    return future.wait_for(0s) == std::future_status::ready;
  }
};

TEST_F(PipeliningTest, RequestsInFlightAreAppendedInTheirOrder) {
  std::vector<std::future<Answer<ProduceResponse>>> answers;
  const auto batch = make_batch(1);
  for (int i = 0; i < 500; ++i) answers.push_back(produce_later(batch, i % 2));
  for (int i = 0; i < 500; ++i) {
    const auto answer = answers[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->topics.at(0).partitions.at(0).base_offset, Offset(i / 2)) << i;
  }
}

TEST_F(PipeliningTest, OneFdatasyncCoversWhatArrivedMeanwhile) {
  fs_.hold_syncs(".log");
  const auto batch = make_batch(1);
  std::vector<std::future<Answer<ProduceResponse>>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(produce_later(batch));
  ASSERT_TRUE(eventually(kDeadline, [&] {
    return metric("tributary_broker_appends_total") == 50 && fs_.held() == 1;
  }));
  const int before = fs_.syncs();
  fs_.release();
  for (auto& answer : answers) ASSERT_TRUE(answer.get());
  EXPECT_LE(fs_.syncs() - before, 1);
}

TEST_F(PipeliningTest, AcksAllWaitsForTheDiskAndAcksOneDoesNot) {
  fs_.hold_syncs(".log");
  const auto batch = make_batch(1);
  auto durable = produce_later(batch, 0, -1);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 1; }));
  const auto other = connect();
  const auto leader_only = ask(*other, produce_request("t", 0, batch, 1));
  EXPECT_EQ(leader_only->topics.at(0).partitions.at(0).base_offset, Offset(1));
  EXPECT_FALSE(is_answered(durable));
  fs_.release();
  EXPECT_EQ(durable.get()->topics.at(0).partitions.at(0).base_offset, Offset(0));
}

TEST_F(PipeliningTest, NothingIsServedBeforeItIsOnDisk) {
  fs_.hold_syncs(".log");
  const auto batch = make_batch(3);
  auto durable = produce_later(batch);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 1; }));
  const auto other = connect();
  const auto early = ask(*other, fetch_request("t", 0, 0));
  EXPECT_EQ(early->topics.at(0).partitions.at(0).high_watermark, Offset(0));
  EXPECT_EQ(early->topics.at(0).partitions.at(0).records.size_bytes(), 0u);
  // Offsets 1 to 3 are in the log, or its end, but nobody was promised them yet: nothing, and no error. 4 is beyond.
  for (const std::int64_t offset : {1, 3}) {
    const auto ahead = ask(*other, fetch_request("t", 0, offset));
    EXPECT_EQ(ahead->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(ahead->topics.at(0).partitions.at(0).records.size_bytes(), 0u);
  }
  EXPECT_EQ(ask(*other, fetch_request("t", 0, 4))->topics.at(0).partitions.at(0).error_code,
            ErrorCode::kOffsetOutOfRange);
  fs_.release();
  ASSERT_TRUE(durable.get());
  EXPECT_EQ(records_in(ask(*other, fetch_request("t", 0, 0))->topics.at(0).partitions.at(0).records), 3);
}

TEST_F(PipeliningTest, ADiskThatDoesNotAnswerIsSaidInTime) {
  fs_.hold_syncs(".log");
  const auto answer = produce_later(make_batch(1), 0, -1, 50).get();
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kRequestTimedOut);
  fs_.release();
}

TEST_F(PipeliningTest, ASlowPartitionDoesNotHoldUpAnotherConnection) {
  ASSERT_EQ(create_topic("slow"), ErrorCode::kNone);
  fs_.hold_syncs("slow-0/0000");
  const auto batch = make_batch(1);
  auto stuck = send(*channel_, produce_request("slow", 0, batch), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 1; }));
  const auto other = connect();
  EXPECT_EQ(ask(*other, produce_request("t", 0, batch, 1))->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  fs_.release();
  EXPECT_TRUE(stuck.get());
}

class IntervalFlushTest : public BrokerTest {
 protected:
  void SetUp() override {
    options_.flush = FlushMode::kInterval;
    options_.flush_interval = 20ms;
    start();
    ASSERT_EQ(create_topic("t"), ErrorCode::kNone);
  }
};

TEST_F(IntervalFlushTest, AnswersAndServesBeforeTheDiskHasIt) {
  fs_.hold_syncs(".log");
  EXPECT_EQ(produce("t", 0, make_batch(2)).error_code, ErrorCode::kNone);
  EXPECT_EQ(records_in(fetch("t", 0, 0)->topics.at(0).partitions.at(0).records), 2);
  EXPECT_TRUE(eventually(kDeadline, [&] { return fs_.syncs() > 0; }));
}

TEST_F(IntervalFlushTest, SyncsOncePerInterval) {
  const int before = fs_.syncs();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) produce("t", 0, make_batch(1));
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_LE(fs_.syncs() - before, took / 20ms + 1);
  EXPECT_TRUE(eventually(kDeadline, [&] { return fs_.syncs() > before; }));
}

TEST_F(IntervalFlushTest, WhatArrivesDuringASlowSyncIsSyncedAfterIt) {
  const auto synced = metric("tributary_broker_flush_requests_total");
  fs_.hold_syncs(".log");
  produce("t", 0, make_batch(1));
  ASSERT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
  produce("t", 0, make_batch(1));
  EXPECT_FALSE(eventually(200ms, [&] { return fs_.held() > 1; })) << "one at a time";
  fs_.release();
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_flush_requests_total") == synced + 2; }));
}

TEST_F(IntervalFlushTest, ATopicMayAskForMore) {
  ASSERT_EQ(create_topic("careful", 1, {{"flush.messages", "1"}}), ErrorCode::kNone);
  const int before = fs_.syncs();
  produce("careful", 0, make_batch(1));
  EXPECT_GT(fs_.syncs(), before);
}

}  // namespace
}  // namespace tributary::test
