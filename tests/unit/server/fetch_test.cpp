#include <ctime>

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class FetchTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t", 4), ErrorCode::kNone);
  }
  void fill(std::int32_t partition, int batches, std::size_t value_bytes = 100) {
    for (int i = 0; i < batches; ++i)
      ASSERT_EQ(produce("t", partition, make_batch(1, {}, value_bytes)).error_code, ErrorCode::kNone);
  }
  static const FetchResponse::Partition& only(const Answer<FetchResponse>& answer) {
    return answer->topics.at(0).partitions.at(0);
  }
  /// Waits until the fetch lies in wait at its partitions.
  void expect_waiting(double waits = 1) {
    ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_fetch_waits_total") >= waits; }));
  }
};

TEST_F(FetchTest, EveryServedVersionGivesTheRecords) {
  fill(0, 3);
  for (auto version = FetchRequest::valid.min; version <= usual_version<FetchRequest>(); ++version) {
    const auto answer = ask(fetch_request("t", 0, 1), version);
    EXPECT_EQ(records_in(only(answer).records), 2) << version;
    EXPECT_EQ(only(answer).high_watermark, Offset(3));
  }
}

TEST_F(FetchTest, ATopicCompressedWithZstdNeedsTheVersionThatKnowsIt) {
  ASSERT_EQ(create_topic("packed", 1, {{"compression.type", "zstd"}}), ErrorCode::kNone);
  produce("packed", 0, make_batch(3));
  const auto refused = ask(fetch_request("packed", 0, 0), 9);
  EXPECT_EQ(only(refused).error_code, ErrorCode::kUnsupportedCompressionType);
  EXPECT_EQ(records_in(only(refused).records), 0);
  EXPECT_EQ(records_in(only(ask(fetch_request("packed", 0, 0), 10)).records), 3);
}

TEST_F(FetchTest, ALongPollEndsWhenDataArrives) {
  const auto other = connect();
  const auto begun = std::chrono::steady_clock::now();
  auto waiting = send(*other, fetch_request("t", 0, 0, 15s), 12);
  expect_waiting();
  fill(0, 1);
  const auto answer = waiting.get();
  EXPECT_EQ(records_in(only(answer).records), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST_F(FetchTest, ALongPollOverSeveralPartitionsWakesOnAny) {
  for (std::int32_t woken = 0; woken < 4; ++woken) {
    const auto other = connect();
    auto request = fetch_request("t", 0, 0, 15s);
    for (std::int32_t i = 1; i < 4; ++i) {
      auto wanted = request.topics[0].partitions[0];
      wanted.index = PartitionIndex(i);
      request.topics[0].partitions.push_back(wanted);
    }
    for (auto& wanted : request.topics[0].partitions) wanted.fetch_offset = Offset(wanted.index.value() < woken ? 1 : 0);
    auto waiting = send(*other, request, 12);
    expect_waiting(woken + 1);
    fill(woken, 1);
    const auto answer = waiting.get();
    ASSERT_TRUE(answer);
    for (const auto& partition : answer->topics.at(0).partitions)
      EXPECT_EQ(records_in(partition.records), partition.index.value() == woken ? 1 : 0);
  }
}

TEST_F(FetchTest, ALongPollWithoutDataEndsInTime) {
  const auto begun = std::chrono::steady_clock::now();
  const auto answer = ask(fetch_request("t", 0, 0, 100ms));
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_EQ(only(answer).error_code, ErrorCode::kNone);
  EXPECT_EQ(only(answer).records.size_bytes(), 0u);
  EXPECT_FALSE(only(answer).records.is_null());
  EXPECT_GE(took, 95ms);
}

TEST_F(FetchTest, WaitingCostsNoProcessorTime) {
  std::vector<std::unique_ptr<RequestChannel>> channels;
  std::vector<std::future<Answer<FetchResponse>>> waiting;
  for (int i = 0; i < 20; ++i) {
    channels.push_back(connect());
    waiting.push_back(send(*channels.back(), fetch_request("t", i % 4, 0, 600ms), 12));
  }
  expect_waiting(20);
  const auto before = std::clock();
  for (auto& answer : waiting) ASSERT_TRUE(answer.get());
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 5);
}

TEST_F(FetchTest, MinBytesAreWaitedFor) {
  const auto other = connect();
  auto waiting = send(*other, fetch_request("t", 0, 0, 15s, 500), 12);
  expect_waiting();
  fill(0, 1);
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
  fill(0, 4);
  EXPECT_GE(only(waiting.get()).records.size_bytes(), 500u);
}

TEST_F(FetchTest, MinBytesThatArriveAtManyPartitionsAtOnceAreNotMissed) {
  constexpr int kPartitions = 4;
  const auto batch = make_batch(1, {}, 100);
  std::vector<std::unique_ptr<RequestChannel>> producers;
  for (int i = 0; i < kPartitions; ++i) producers.push_back(connect());
  const auto consumer = connect();
  for (int round = 0; round < 200; ++round) {
    auto request = fetch_request("t", 0, round, 15s, static_cast<std::int32_t>(kPartitions * batch.size()));
    for (int i = 1; i < kPartitions; ++i) {
      request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
      request.topics[0].partitions.back().index = PartitionIndex(i);
    }
    const auto begun = std::chrono::steady_clock::now();
    auto waiting = send(*consumer, request, 12);
    std::vector<std::future<Answer<ProduceResponse>>> produced;
    for (int i = 0; i < kPartitions; ++i)
      produced.push_back(send(*producers[static_cast<std::size_t>(i)], produce_request("t", i, batch), 9));
    for (auto& answer : produced) ASSERT_TRUE(answer.get());
    ASSERT_TRUE(waiting.get());
    ASSERT_LT(std::chrono::steady_clock::now() - begun, 10s) << "round " << round;
  }
}

TEST_F(FetchTest, MinBytesAcrossPartitionsAddUp) {
  fill(0, 1);
  fill(1, 1);
  auto request = fetch_request("t", 0, 0, 15s, 250);
  request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
  request.topics[0].partitions[1].index = PartitionIndex(1);
  EXPECT_EQ(ask(request)->topics.at(0).partitions.size(), 2u);  // at once
}

TEST_F(FetchTest, TheAnswerKeepsToBothLimitsButGivesOneBatch) {
  fill(0, 5, 1'000);
  fill(1, 5, 1'000);
  auto request = fetch_request("t", 0, 0);
  request.topics[0].partitions[0].bytes_max = 2'500;
  EXPECT_EQ(records_in(only(ask(request)).records), 2);
  request.topics[0].partitions[0].bytes_max = 10;  // less than one batch
  EXPECT_EQ(records_in(only(ask(request)).records), 1);
  request.topics[0].partitions[0].bytes_max = -1;
  EXPECT_EQ(records_in(only(ask(request)).records), 1);

  request.topics[0].partitions[0].bytes_max = 1 << 20;
  request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
  request.topics[0].partitions[1].index = PartitionIndex(1);
  request.bytes_max = 6'000;
  const auto answer = ask(request);
  EXPECT_EQ(records_in(answer->topics.at(0).partitions.at(0).records), 5);
  EXPECT_EQ(records_in(answer->topics.at(0).partitions.at(1).records), 0);
}

TEST_F(FetchTest, TheBrokersLimitBoundsGreedyFetches) {
  options_.fetch_bytes_max = 10'000;
  restart();
  fill(0, 30, 1'000);
  auto request = fetch_request("t", 0, 0);
  request.bytes_max = INT32_MAX;
  request.topics[0].partitions[0].bytes_max = INT32_MAX;
  const auto size = only(ask(request)).records.size_bytes();
  EXPECT_GT(size, 5'000u);
  EXPECT_LE(size, 10'000u);
}

TEST_F(FetchTest, OffsetsOutsideTheLogAreRefusedAtOnce) {
  fill(0, 2);
  EXPECT_EQ(only(ask(fetch_request("t", 0, 3, 15s))).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(only(ask(fetch_request("t", 0, -1, 15s))).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(only(ask(fetch_request("t", 0, 2))).error_code, ErrorCode::kNone);
}

TEST_F(FetchTest, UnknownTopicsAndPartitionsAreRefusedAtOnce) {
  EXPECT_EQ(only(ask(fetch_request("missing", 0, 0, 15s))).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(only(ask(fetch_request("t", 4, 0, 15s))).error_code, ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(FetchTest, SessionsAreNotKept) {
  auto request = fetch_request("t", 0, 0);
  request.session_epoch = 0;  // may I have one?
  EXPECT_EQ(ask(request)->session_id, 0);
  request.session_id = 77;
  EXPECT_EQ(ask(request)->error_code, ErrorCode::kFetchSessionIdNotFound);
  request.session_id = 0;
  request.session_epoch = 5;
  EXPECT_EQ(ask(request)->error_code, ErrorCode::kInvalidFetchSessionEpoch);
}

TEST_F(FetchTest, LeaderEpochsOfAnotherTimeAreFenced) {
  auto request = fetch_request("t", 0, 0);
  request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(7);
  EXPECT_EQ(only(ask(request)).error_code, ErrorCode::kUnknownLeaderEpoch);
  request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(0);
  EXPECT_EQ(only(ask(request)).error_code, ErrorCode::kNone);
}

TEST_F(FetchTest, AFetchOfNothingWaitsItsTime) {
  FetchRequest request;
  request.wait_ms_max = 50;
  request.bytes_min = 1;
  EXPECT_TRUE(ask(request)->topics.empty());
}

TEST_F(FetchTest, BothListenersGiveTheSameBytes) {
  fill(0, 20, 5'000);
  const auto nng = connect_by_nng();
  const auto by_tcp = ask(fetch_request("t", 0, 3));
  const auto by_nng = ask(*nng, fetch_request("t", 0, 3));
  EXPECT_EQ(records_in(only(by_tcp).records), 17);
  EXPECT_TRUE(only(by_tcp).records == only(by_nng).records);
}

TEST_F(FetchTest, AnsweredRecordsStayReadableAcrossSegments) {
  ASSERT_EQ(create_topic("rolling", 1, {{"segment.bytes", "4096"}}), ErrorCode::kNone);
  for (int i = 0; i < 40; ++i) produce("rolling", 0, make_batch(1, {}, 1'000));
  std::int64_t offset = 0;
  while (offset < 40) {
    const auto answer = fetch("rolling", 0, offset);
    const auto got = records_in(only(answer).records);
    ASSERT_GT(got, 0) << offset;
    offset += got;
  }
}

TEST_F(FetchTest, DeletingTheTopicAnswersTheFetchesThatWait) {
  const auto other = connect();
  auto waiting = send(*other, fetch_request("t", 0, 0, 15s), 12);
  auto waiting_too = send(*other, fetch_request("t", 3, 0, 15s), 12);
  expect_waiting(2);
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
  EXPECT_EQ(only(waiting.get()).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(only(waiting_too.get()).error_code, ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(FetchTest, AConnectionThatGoesWhileItsFetchWaitsLeavesNothing) {
  {
    const auto gone = connect();
    (void)send(*gone, fetch_request("t", 0, 0, 1s), 12);
    expect_waiting();
  }
  // It may have closed one direction only: what it asked for is still tried.
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_connections", {{"listener", "kafka"}}) == 1; }));
  fill(0, 1);  // wakes the fetch of nobody
  EXPECT_EQ(records_in(only(fetch("t", 0, 0)).records), 1);
}

TEST_F(FetchTest, StoppingDoesNotWaitForFetches) {
  const auto other = connect();
  auto waiting = send(*other, fetch_request("t", 0, 0, 25s), 12);
  expect_waiting();
  const auto begun = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  EXPECT_FALSE(waiting.get());
}

TEST_F(FetchTest, FromVersion13OnTopicsAreNamedById) {
  produce("t", 0, make_batch(3));
  MetadataRequest about;
  about.topics->push_back({{}, "t"});
  const auto id = ask(about)->topics.at(0).topic_id;
  auto request = fetch_request("t", 0, 0);
  request.topics[0].topic_id = id;
  auto second = request.topics[0].partitions[0];
  second.index = PartitionIndex(99);
  request.topics[0].partitions.push_back(second);
  for (const auto& unknown : {uuid_from_random(1, 2), Uuid{}}) {
    request.topics.push_back(request.topics[0]);
    request.topics.back().topic_id = unknown;
  }
  const auto answer = ask(request, 13);
  ASSERT_EQ(answer->topics.size(), 3u);
  EXPECT_EQ(answer->topics[0].topic_id, id);
  EXPECT_EQ(records_in(answer->topics[0].partitions.at(0).records), 3);
  EXPECT_EQ(answer->topics[0].partitions.at(1).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[1].topic_id, uuid_from_random(1, 2));
  for (const int i : {1, 2})
    for (const auto& partition : answer->topics[static_cast<std::size_t>(i)].partitions)
      EXPECT_EQ(partition.error_code, ErrorCode::kUnknownTopicId);
  delete_topic("t");
  create_topic("t", 4);
  EXPECT_EQ(ask(request, 13)->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicId);
}

}  // namespace
}  // namespace tributary::test
