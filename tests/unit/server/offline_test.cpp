// A failed fdatasync: never retried, said everywhere.

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class OfflineTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("bad"), ErrorCode::kNone);
    ASSERT_EQ(create_topic("good"), ErrorCode::kNone);
    ASSERT_EQ(produce("bad", 0, make_batch(2)).error_code, ErrorCode::kNone);
    fs_.fail_syncs("bad-0");
  }
};

TEST_F(OfflineTest, TheProducerIsToldThatTheStorageFailed) {
  EXPECT_EQ(produce("bad", 0, make_batch()).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(produce("bad", 0, make_batch(), 1).error_code, ErrorCode::kKafkaStorageError);
  fs_.fail_syncs("");  // the disk recovers, but what it lost nobody knows
  EXPECT_EQ(produce("bad", 0, make_batch()).error_code, ErrorCode::kKafkaStorageError);
}

TEST_F(OfflineTest, ReadinessAndMetricsNameTheLog) {
  EXPECT_TRUE(broker_->readiness().ok);
  produce("bad", 0, make_batch());
  const auto report = broker_->readiness();
  EXPECT_FALSE(report.ok);
  EXPECT_NE(report.reason.find("bad-0"), std::string::npos) << report.reason;
  EXPECT_EQ(metric("tributary_broker_offline_logs"), 1);
}

TEST_F(OfflineTest, DeletingTheTopicMakesTheBrokerReadyAgain) {
  produce("bad", 0, make_batch());
  EXPECT_FALSE(broker_->readiness().ok);
  EXPECT_EQ(delete_topic("bad"), ErrorCode::kNone);
  EXPECT_TRUE(broker_->readiness().ok) << broker_->readiness().reason;
  EXPECT_EQ(metric("tributary_broker_offline_logs"), 0);
}

TEST_F(OfflineTest, WhatWasAcknowledgedIsStillServedAndNothingElse) {
  produce("bad", 0, make_batch(7));
  const auto answer = fetch("bad", 0, 0);
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).high_watermark, Offset(2));
  EXPECT_EQ(records_in(answer->topics.at(0).partitions.at(0).records), 2);
}

TEST_F(OfflineTest, OtherPartitionsGoOn) {
  produce("bad", 0, make_batch());
  EXPECT_EQ(produce("good", 0, make_batch()).error_code, ErrorCode::kNone);
}

TEST_F(OfflineTest, TheNextStartServesWhatWasAcknowledged) {
  produce("bad", 0, make_batch(7));
  EXPECT_FALSE(broker_->stop());  // no mark of a clean stop
  crash();
  fs_.fail_syncs("");
  start();
  EXPECT_TRUE(broker_->readiness().ok);
  EXPECT_GE(end_offset("bad", 0), 2);
  EXPECT_EQ(produce("bad", 0, make_batch()).error_code, ErrorCode::kNone);
}

}  // namespace
}  // namespace tributary::test
