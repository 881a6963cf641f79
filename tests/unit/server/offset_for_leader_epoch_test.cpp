// OffsetForLeaderEpoch.

#include "tests/unit/server/broker_fixture.h"

#include "common/protocol/messages/offset_for_leader_epoch.h"

namespace tributary::test {
namespace {

using Partition = OffsetForLeaderEpochResponse::Partition;

class OffsetForLeaderEpochTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    create_topic("t", 2);
    produce("t", 1, make_batch(5));
  }
  Partition end_of(std::int32_t epoch, std::int32_t current = -1, std::int16_t version = 4) {
    OffsetForLeaderEpochRequest request;
    request.replica_id = kNoBroker;
    request.topics.push_back({"t", {{PartitionIndex(1), LeaderEpoch(current), LeaderEpoch(epoch)}}});
    return ask(request, version)->topics.at(0).partitions.at(0);
  }
  static Partition found(std::int32_t epoch, std::int64_t end) {
    return {ErrorCode::kNone, PartitionIndex(1), LeaderEpoch(epoch), Offset(end)};
  }
  static Partition failed(ErrorCode error) { return {error, PartitionIndex(1), kNoLeaderEpoch, Offset(-1)}; }
};

TEST_F(OffsetForLeaderEpochTest, ThePresentEpochEndsWhereTheLogDoes) {
  for (std::int16_t version = 2; version <= 4; ++version) EXPECT_EQ(end_of(0, -1, version), found(0, 5));
  EXPECT_EQ(end_of(0, 0), found(0, 5));
  produce("t", 1, make_batch(2));
  EXPECT_EQ(end_of(0), found(0, 7));
  restart();
  EXPECT_EQ(end_of(0), found(0, 7));
}

TEST_F(OffsetForLeaderEpochTest, WhatIsNotDurableYetIsInTheLogToo) {
  fs_.hold_syncs("t-1/0000");
  const auto other = connect();
  const auto batch = make_batch(2);
  auto stuck = send(*other, produce_request("t", 1, batch), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 2; }));
  EXPECT_EQ(end_offset("t", 1), 5);
  EXPECT_EQ(end_of(0), found(0, 7));
  fs_.release();
  EXPECT_TRUE(stuck.get());
}

TEST_F(OffsetForLeaderEpochTest, OtherEpochsAreAnsweredAsKafkaDoes) {
  EXPECT_EQ(end_of(1), found(-1, -1));
  EXPECT_EQ(end_of(0x7fffffff), found(-1, -1));
  EXPECT_EQ(end_of(-1), found(-1, -1));
  EXPECT_EQ(end_of(-7), found(-7, 0));
}

TEST_F(OffsetForLeaderEpochTest, AClientWithAnotherLeaderEpochIsFenced) {
  EXPECT_EQ(end_of(0, 1), failed(ErrorCode::kUnknownLeaderEpoch));
  EXPECT_EQ(end_of(0, -2), failed(ErrorCode::kFencedLeaderEpoch));
}

TEST_F(OffsetForLeaderEpochTest, WhatIsNotThereIsUnknown) {
  OffsetForLeaderEpochRequest request;
  request.replica_id = kNoBroker;
  const auto partition = [](std::int32_t index) { return OffsetForLeaderEpochRequest::Partition{PartitionIndex(index), kNoLeaderEpoch, LeaderEpoch(0)}; };
  request.topics = {{"none", {partition(0)}}, {"t", {partition(2), partition(0), partition(-1)}}, {std::string(300, 'x'), {partition(0)}},
                    {"\x01", {}}};
  const auto answer = ask(request);
  ASSERT_EQ(answer->topics.size(), 4u);
  EXPECT_EQ(answer->topics[0].partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[1].partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[1].partitions.at(1).end_offset, Offset(0));
  EXPECT_EQ(answer->topics[1].partitions.at(2).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[2].partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_TRUE(ask(OffsetForLeaderEpochRequest{}, 2)->topics.empty());
}

TEST_F(OffsetForLeaderEpochTest, AnOfflineLogSaysSo) {
  stop();
  ASSERT_TRUE(remove_recursively(posix_file_system(), options_.data + "/t-1"));
  start();
  EXPECT_EQ(end_of(0), failed(ErrorCode::kKafkaStorageError));
}

}  // namespace
}  // namespace tributary::test
