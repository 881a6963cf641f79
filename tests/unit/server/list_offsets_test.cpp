#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class ListOffsetsTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t", 2), ErrorCode::kNone);
    for (const std::int64_t first_ms : {1'000, 2'000, 3'000}) produce("t", 0, make_batch(10, {}, 10, first_ms));
  }
  ListOffsetsResponse::Partition offset_for(std::int64_t timestamp_ms, std::int32_t partition = 0, std::int16_t version = 7,
                                            const std::string& topic = "t", std::int32_t epoch = -1) {
    ListOffsetsRequest request;
    request.topics.push_back({topic, {{PartitionIndex(partition), LeaderEpoch(epoch), timestamp_ms}}});
    return ask(request, version)->topics.at(0).partitions.at(0);
  }
};

TEST_F(ListOffsetsTest, TheEndsOfTheLog) {
  for (std::int16_t version = 1; version <= 7; ++version) {
    EXPECT_EQ(offset_for(ListOffsetsRequest::kLatest, 0, version).offset, Offset(30));
    EXPECT_EQ(offset_for(ListOffsetsRequest::kEarliest, 0, version).offset, Offset(0));
  }
  EXPECT_EQ(offset_for(ListOffsetsRequest::kLatest, 1).offset, Offset(0));
}

TEST_F(ListOffsetsTest, TheFirstRecordAtOrAfterATime) {
  const auto found = offset_for(2'003);
  EXPECT_EQ(found.offset, Offset(13));
  EXPECT_EQ(found.timestamp_ms, 2'003);
  EXPECT_EQ(offset_for(1'500).offset, Offset(10));
  EXPECT_EQ(offset_for(0).offset, Offset(0));
  EXPECT_EQ(offset_for(9'999).offset, Offset(-1));
}

TEST_F(ListOffsetsTest, TheLargestTimestampNeedsVersionSeven) {
  const auto found = offset_for(ListOffsetsRequest::kMaxTimestamp);
  EXPECT_EQ(found.offset, Offset(29));
  EXPECT_EQ(found.timestamp_ms, 3'009);
  EXPECT_EQ(offset_for(ListOffsetsRequest::kMaxTimestamp, 1).offset, Offset(-1));
  EXPECT_EQ(offset_for(ListOffsetsRequest::kMaxTimestamp, 0, 6).error_code, ErrorCode::kUnsupportedVersion);
}

TEST_F(ListOffsetsTest, WithLogAppendTimeTimesAreTheBrokers) {
  ASSERT_EQ(create_topic("stamped", 1, {{"message.timestamp.type", "LogAppendTime"}}), ErrorCode::kNone);
  const auto time = produce("stamped", 0, make_batch(10, {}, 10, 1'000)).log_append_time_ms;
  EXPECT_EQ(offset_for(1'003, 0, 7, "stamped").offset, Offset(0));
  EXPECT_EQ(offset_for(1'003, 0, 7, "stamped").timestamp_ms, time);
  EXPECT_EQ(offset_for(time + 1, 0, 7, "stamped").offset, Offset(-1));
  EXPECT_EQ(offset_for(ListOffsetsRequest::kMaxTimestamp, 0, 7, "stamped").timestamp_ms, time);
}

TEST_F(ListOffsetsTest, WhatDoesNotExistIsSaid) {
  EXPECT_EQ(offset_for(-1, 5).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(offset_for(-1, 0, 7, "missing").error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(offset_for(-99).error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(offset_for(-1, 0, 7, "t", 3).error_code, ErrorCode::kUnknownLeaderEpoch);
}

TEST_F(ListOffsetsTest, ManyPartitionsKeepTheirOrder) {
  ListOffsetsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  for (int i = 0; i < 100; ++i) topic.partitions.push_back({PartitionIndex(i * 7 % 100), kNoLeaderEpoch, -1});
  const auto answer = ask(request);
  for (int i = 0; i < 100; ++i) {
    const auto& partition = answer->topics.at(0).partitions.at(static_cast<std::size_t>(i));
    EXPECT_EQ(partition.index, PartitionIndex(i * 7 % 100));
    EXPECT_EQ(partition.offset, Offset(partition.index.value() == 0 ? 30 : partition.index.value() == 1 ? 0 : -1));
  }
}

TEST_F(ListOffsetsTest, APartitionNamedTwiceIsSearchedOnce) {
  ListOffsetsRequest request;
  request.topics.push_back({"t", {{PartitionIndex(0), kNoLeaderEpoch, -1}, {PartitionIndex(0), kNoLeaderEpoch, -1}}});
  const auto answer = ask(request);
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).offset, Offset(30));
  EXPECT_EQ(answer->topics.at(0).partitions.at(1).error_code, ErrorCode::kInvalidRequest);
}

TEST_F(ListOffsetsTest, ABatchThatDoesNotDecompressDoesNotHinderSearches) {
  auto garbage = make_batch(5, {}, 10, 5'000, Compression::kGzip);
  for (auto byte = garbage.begin() + kBatchHeaderSize; byte != garbage.end(); ++byte) *byte ^= 0x5a;
  patch_producer(garbage, kNoProducerId, kNoProducerEpoch, kNoSequence);  // a CRC that matches
  ASSERT_EQ(produce("t", 0, garbage).error_code, ErrorCode::kNone);
  produce("t", 0, make_batch(1, {}, 10, 4'000));
  const auto found = offset_for(4'500);
  EXPECT_EQ(found.error_code, ErrorCode::kNone);
  EXPECT_EQ(found.offset, Offset(30));
  EXPECT_EQ(offset_for(3'005).offset, Offset(25));
  EXPECT_EQ(offset_for(ListOffsetsRequest::kMaxTimestamp).offset, Offset(30));
}

}  // namespace
}  // namespace tributary::test
