#include <set>

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class IdempotenceTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t"), ErrorCode::kNone);
  }
  ProducerId new_producer_id() {
    const auto answer = ask(InitProducerIdRequest{});
    EXPECT_EQ(answer->error_code, ErrorCode::kNone);
    EXPECT_EQ(answer->producer_epoch, ProducerEpoch(0));
    return answer->producer_id;
  }
};

TEST_F(IdempotenceTest, ARetryIsAnsweredWithItsFirstOffset) {
  const auto first = make_batch(5, {7, 0, 0});
  const auto second = make_batch(3, {7, 0, 5});
  EXPECT_EQ(produce("t", 0, first).base_offset, Offset(0));
  EXPECT_EQ(produce("t", 0, second).base_offset, Offset(5));
  const auto retry = produce("t", 0, first);
  EXPECT_EQ(retry.error_code, ErrorCode::kNone);
  EXPECT_EQ(retry.base_offset, Offset(0));
  EXPECT_EQ(end_offset("t", 0), 8);
  EXPECT_EQ(metric("tributary_broker_duplicate_appends_total"), 1);
}

TEST_F(IdempotenceTest, ARetryIsRecognisedAfterAnyRestart) {
  const auto batch = make_batch(5, {7, 0, 0});
  produce("t", 0, batch);
  restart();
  EXPECT_EQ(produce("t", 0, batch).base_offset, Offset(0));
  crash();
  start();
  EXPECT_EQ(produce("t", 0, batch).base_offset, Offset(0));
  EXPECT_EQ(produce("t", 0, make_batch(1, {7, 0, 5})).base_offset, Offset(5));
}

TEST_F(IdempotenceTest, GapsAndOldEpochsAreRefused) {
  produce("t", 0, make_batch(2, {7, 1, 0}));
  EXPECT_EQ(produce("t", 0, make_batch(1, {7, 1, 3})).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(produce("t", 0, make_batch(1, {7, 0, 0})).error_code, ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(produce("t", 0, make_batch(1, {7, 2, 0})).error_code, ErrorCode::kNone);
}

TEST_F(IdempotenceTest, ARetryThatArrivesBeforeTheFirstIsDurableWaitsForIt) {
  fs_.hold_syncs(".log");
  const auto batch = make_batch(2, {7, 0, 0});
  auto first = send(*channel_, produce_request("t", 0, batch), 9);
  auto retry = send(*channel_, produce_request("t", 0, batch), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_duplicate_appends_total") == 1; }));
  EXPECT_EQ(retry.wait_for(20ms), std::future_status::timeout);
  fs_.release();
  EXPECT_EQ(first.get()->topics.at(0).partitions.at(0).base_offset, Offset(0));
  EXPECT_EQ(retry.get()->topics.at(0).partitions.at(0).base_offset, Offset(0));
}

TEST_F(IdempotenceTest, ProducerIdsAreNeverGivenTwice) {
  std::set<ProducerId> seen;
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(seen.insert(new_producer_id()).second);
    crash();
    start();
  }
  EXPECT_LT(seen.rbegin()->value(), 1 << 20);  // small: large ones are chosen by gateways
}

// Another cluster gave them: its partition was moved here. Or the metadata is older than the logs.
TEST_F(IdempotenceTest, ProducerIdsThatALogKnowsAreNotGiven) {
  for (const std::int64_t id : {0, 1, 3}) produce("t", 0, make_batch(2, {id, 0, 0}));
  restart();
  std::vector<ProducerId> given;
  for (int i = 0; i < 3; ++i) given.push_back(new_producer_id());
  EXPECT_EQ(given, (std::vector{ProducerId(2), ProducerId(4), ProducerId(5)}));
  EXPECT_EQ(produce("t", 0, make_batch(2, {given.front().value(), 0, 0})).base_offset, Offset(6));
}

TEST_F(IdempotenceTest, EveryVersionOfInitProducerIdIsServed) {
  for (std::int16_t version = 0; version <= 4; ++version)
    EXPECT_EQ(ask(InitProducerIdRequest{}, version)->error_code, ErrorCode::kNone);
}

TEST_F(IdempotenceTest, TransactionalProducersAreRefused) {
  InitProducerIdRequest request;
  request.transactional_id = "tx";
  const auto answer = ask(request);
  EXPECT_EQ(answer->error_code, ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(answer->producer_id, kNoProducerId);
}

}  // namespace
}  // namespace tributary::test
