// Retention and DeleteRecords, as clients and the data folder see them.

#include "cluster/storage/folder_names.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class RetentionTest : public BrokerTest {
 protected:
  RetentionTest() { options_.retention_check_interval = 10ms; }

  DeleteRecordsResponse::Partition delete_records(std::int64_t offset, std::int32_t partition = 0,
                                                  const std::string& topic = "t", std::int16_t version = 2) {
    return ask(request(offset, partition, topic), version)->topics.at(0).partitions.at(0);
  }
  static DeleteRecordsRequest request(std::int64_t offset, std::int32_t partition = 0, const std::string& topic = "t",
                                      std::chrono::milliseconds timeout = kDeadline) {
    DeleteRecordsRequest request;
    request.topics.push_back({topic, {{PartitionIndex(partition), Offset(offset)}}});
    request.timeout_ms = static_cast<std::int32_t>(timeout.count());
    return request;
  }
  std::int64_t earliest(const std::string& topic = "t") {
    ListOffsetsRequest request;
    request.topics.push_back({topic, {{PartitionIndex(0), kNoLeaderEpoch, ListOffsetsRequest::kEarliest}}});
    return ask(request)->topics.at(0).partitions.at(0).offset.value();
  }
  ErrorCode fetch_error(std::int64_t offset) {
    return fetch("t", 0, offset)->topics.at(0).partitions.at(0).error_code;
  }
  /// The base offsets of a partition's segment files.
  std::vector<std::int64_t> segments(const std::string& folder = "t-0") {
    std::vector<std::int64_t> bases;
    const auto names = posix_file_system().list(options_.data + "/" + folder).value();
    for (const auto& name : names)
      if (const auto parsed = parse_segment_file_name(name); parsed && parsed->suffix == kLogSuffix)
        bases.push_back(parsed->base_offset.value());
    return bases;
  }
  bool segments_become(const std::vector<std::int64_t>& bases) {
    return eventually(kDeadline, [&] { return segments() == bases; });
  }
  static std::int64_t now_ms() { return system_clock().wall_now_ms(); }
};

/// Two batches fit into one segment.
const std::vector<CreateTopicsRequest::Config> kSmallSegments{{"segment.bytes", "1024"}};
constexpr std::size_t kHalfSegment = 350;

std::vector<CreateTopicsRequest::Config> with(const std::string& name, const std::string& value) {
  auto configs = kSmallSegments;
  configs.push_back({name, value});
  return configs;
}

TEST_F(RetentionTest, DeletedRecordsAreGoneForEveryClientAndEveryStart) {
  start();
  create_topic("t", 1, kSmallSegments);
  for (int i = 0; i < 8; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment));
  for (std::int16_t version = 0; version <= 2; ++version) {
    const auto deleted = delete_records(3 + version, 0, "t", version);
    EXPECT_EQ(deleted.error_code, ErrorCode::kNone);
    EXPECT_EQ(deleted.low_watermark, Offset(3 + version));
  }
  const auto check = [&] {
    EXPECT_EQ(earliest(), 5);
    EXPECT_EQ(end_offset("t", 0), 8);
    EXPECT_EQ(fetch_error(4), ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(fetch_error(5), ErrorCode::kNone);
    EXPECT_TRUE(segments_become({4, 6}));
  };
  check();
  crash();
  start();
  check();
  stop();
  start();
  check();
}

TEST_F(RetentionTest, AnAnswerMeansThatAPowerCutBringsNothingBack) {
  start();
  create_topic("t", 1, kSmallSegments);
  produce("t", 0, make_batch(4));
  fs_.hold_syncs("log-start-offset-checkpoint");
  auto answer = send(*channel_, request(2), 2);
  ASSERT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
  EXPECT_EQ(answer.wait_for(0ms), std::future_status::timeout);
  const auto other = connect();
  ListOffsetsRequest earliest_request;
  earliest_request.topics.push_back({"t", {{PartitionIndex(0), kNoLeaderEpoch, ListOffsetsRequest::kEarliest}}});
  EXPECT_EQ(ask(*other, earliest_request)->topics.at(0).partitions.at(0).offset, Offset(0));  // never to go back
  fs_.release();
  EXPECT_EQ(answer.get()->topics.at(0).partitions.at(0).low_watermark, Offset(2));
  EXPECT_EQ(earliest(), 2);
}

TEST_F(RetentionTest, ADeleteThatTheDiskDoesNotConfirmTimesOut) {
  start();
  create_topic("t");
  produce("t", 0, make_batch(4));
  fs_.hold_syncs("log-start-offset-checkpoint");
  const auto answer = send(*channel_, request(2, 0, "t", 1ms), 2).get();
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kRequestTimedOut);
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).low_watermark, Offset(-1));
}

TEST_F(RetentionTest, ADeleteThatCannotBeNotedIsAnErrorAndCanBeTriedAgain) {
  start();
  create_topic("t");
  produce("t", 0, make_batch(4));
  fs_.refuse_changes("log-start-offset-checkpoint");
  EXPECT_EQ(delete_records(2).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(earliest(), 0);
  fs_.refuse_changes("nothing-has-this-name");
  EXPECT_EQ(delete_records(2).low_watermark, Offset(2));
  EXPECT_TRUE(broker_->readiness().ok);
}

TEST_F(RetentionTest, AnOfflineLogDeletesNothing) {
  start();
  create_topic("t");
  produce("t", 0, make_batch(4));
  fs_.fail_syncs(".log");
  EXPECT_EQ(produce("t", 0, make_batch(4)).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(delete_records(2).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(earliest(), 0);
}

TEST_F(RetentionTest, MinusOneIsTheHighWatermarkAndLeavesAnEmptyLog) {
  start();
  create_topic("t", 1, kSmallSegments);
  for (int i = 0; i < 5; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment));
  EXPECT_EQ(delete_records(-1).low_watermark, Offset(5));
  EXPECT_TRUE(segments_become({5}));
  EXPECT_EQ(delete_records(-1).low_watermark, Offset(5));
  EXPECT_EQ(produce("t", 0, make_batch(1)).base_offset, Offset(5));
  EXPECT_EQ(earliest(), 5);
  restart();
  EXPECT_EQ(earliest(), 5);
  EXPECT_EQ(end_offset("t", 0), 6);
}

TEST_F(RetentionTest, WhatIsNotDurableYetIsMadeSoBeforeItIsDeleted) {
  options_.flush = FlushMode::kInterval;
  options_.flush_interval = 1h;
  start();
  create_topic("t");
  produce("t", 0, make_batch(4));
  EXPECT_EQ(delete_records(-1).low_watermark, Offset(4));
  crash();
  start();
  EXPECT_EQ(earliest(), 4);
}

TEST_F(RetentionTest, WrongDeletesAreRefusedOneByOne) {
  start();
  create_topic("t", 3);
  produce("t", 0, make_batch(4));
  produce("t", 1, make_batch(4));
  EXPECT_EQ(delete_records(5).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(delete_records(5).low_watermark, Offset(-1));
  EXPECT_EQ(delete_records(-2).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(delete_records(0, 9).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(delete_records(0, 0, "missing").error_code, ErrorCode::kUnknownTopicOrPartition);
  DeleteRecordsRequest many = request(2);
  many.topics[0].partitions.push_back({PartitionIndex(1), Offset(9)});
  many.topics[0].partitions.push_back({PartitionIndex(0), Offset(3)});
  many.topics.push_back({"t", {{PartitionIndex(2), Offset(0)}}});
  const auto answer = ask(many);
  const auto& first = answer->topics.at(0).partitions;
  EXPECT_EQ(first.at(0).low_watermark, Offset(2));
  EXPECT_EQ(first.at(1).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(first.at(2).error_code, ErrorCode::kInvalidRequest);  // named twice
  EXPECT_EQ(answer->topics.at(1).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(delete_records(1).low_watermark, Offset(2));  // gone already
}

TEST_F(RetentionTest, ManyDeletesAtOnceAreAllAnswered) {
  start();
  create_topic("t", 50);
  for (int i = 0; i < 50; ++i) produce("t", i, make_batch(4));
  std::vector<std::future<Answer<DeleteRecordsResponse>>> answers;
  for (int round = 1; round <= 4; ++round)
    for (int i = 0; i < 50; ++i) answers.push_back(send(*channel_, request(round, i), 2));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto answer = answers[i].get();
    EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_GE(answer->topics.at(0).partitions.at(0).low_watermark, Offset(static_cast<std::int64_t>(i / 50 + 1)));
  }
}

TEST_F(RetentionTest, ATopicOfTheSameNameStartsAnew) {
  start();
  create_topic("t");
  produce("t", 0, make_batch(4));
  delete_records(3);
  delete_topic("t");
  create_topic("t");
  EXPECT_EQ(earliest(), 0);
  produce("t", 0, make_batch(4));
  crash();
  start();
  EXPECT_EQ(earliest(), 0);
  EXPECT_EQ(end_offset("t", 0), 4);
}

TEST_F(RetentionTest, OldSegmentsAreRemovedByThemselves) {
  options_.retention_check_interval = 1h;  // or a look between two appends would close a segment early
  start();
  create_topic("t", 1, with("retention.ms", "3600000"));
  for (int i = 0; i < 4; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment, now_ms() - 2 * 3'600'000));
  for (int i = 0; i < 3; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment, now_ms()));
  stop();
  options_.retention_check_interval = 10ms;
  start();
  EXPECT_TRUE(segments_become({4, 6}));
  EXPECT_EQ(metric("tributary_broker_removed_segments_total"), 2);
  EXPECT_EQ(earliest(), 4);
  EXPECT_EQ(fetch_error(3), ErrorCode::kOffsetOutOfRange);
  crash();
  start();
  EXPECT_EQ(earliest(), 4);
  EXPECT_EQ(end_offset("t", 0), 7);
}

TEST_F(RetentionTest, ALogWhoseRecordsAreAllTooOldBecomesEmpty) {
  start();
  create_topic("t", 1, with("retention.ms", "1000"));
  for (int i = 0; i < 3; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment));
  EXPECT_TRUE(segments_become({3}));
  EXPECT_EQ(earliest(), 3);
  EXPECT_EQ(end_offset("t", 0), 3);
  restart();
  EXPECT_EQ(earliest(), 3);
}

TEST_F(RetentionTest, AFutureTimestampDoesNotKeepASegmentForEver) {
  start();
  create_topic("t", 1, with("retention.ms", "100"));
  produce("t", 0, make_batch(1, {}, kHalfSegment, now_ms() + 1'000'000'000));
  EXPECT_TRUE(segments_become({1}));  // when its last append is too long ago
}

TEST_F(RetentionTest, ALogIsKeptWithinItsBytes) {
  start();
  create_topic("t", 1, with("retention.bytes", "1500"));
  for (int i = 0; i < 9; ++i) produce("t", 0, make_batch(1, {}, kHalfSegment, now_ms()));
  EXPECT_TRUE(segments_become({4, 6, 8}));  // five batches; without {4, 5} less than 1500 bytes
  EXPECT_EQ(earliest(), 4);
}

TEST_F(RetentionTest, TheBrokersRetentionIsTheDefaultOfTopics) {
  options_.retention_ms = 1'000;
  start();
  create_topic("t", 1, kSmallSegments);
  create_topic("kept", 1, {{"retention.ms", "-1"}});
  produce("kept", 0, make_batch(1));
  produce("t", 0, make_batch(1));
  EXPECT_TRUE(segments_become({1}));
  EXPECT_EQ(earliest("kept"), 0);
}

TEST_F(RetentionTest, EveryPartitionHasItsTurnAgainAndAgain) {
  options_.retention_ms = 1'000;
  start();
  create_topic("first", 17);
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 17; ++i) produce("first", i, make_batch(1));
    if (round == 2) {  // one that came later
      create_topic("second", 8);
      for (int i = 0; i < 8; ++i) produce("second", i, make_batch(1));
    }
    EXPECT_TRUE(eventually(kDeadline, [&] {
      return metric("tributary_broker_removed_segments_total") == (round == 1 ? 17 : 17 + 17 + 8);
    }));
  }
}

TEST_F(RetentionTest, AProducerWhoseBatchesAreGoneGoesOnWhereItWas) {
  start();
  create_topic("t", 1, with("retention.ms", "1000"));
  for (int i = 0; i < 3; ++i) produce("t", 0, make_batch(1, {77, 0, i}, kHalfSegment));
  ASSERT_TRUE(segments_become({3}));
  const auto check = [&] {
    const auto again = produce("t", 0, make_batch(1, {77, 0, 2}, kHalfSegment));
    EXPECT_EQ(again.error_code, ErrorCode::kNone);
    EXPECT_EQ(again.base_offset, Offset(2));
    EXPECT_EQ(produce("t", 0, make_batch(1, {77, 0, 9})).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  };
  check();
  crash();
  start();
  check();
  restart();
  check();
  EXPECT_EQ(produce("t", 0, make_batch(1, {77, 0, 3}, 10, now_ms())).base_offset, Offset(3));
}

TEST_F(RetentionTest, AReaderOfARemovedSegmentReadsOn) {
  start();
  create_topic("t", 1, kSmallSegments);
  produce("t", 0, make_batch(1, {}, kHalfSegment));
  produce("t", 0, make_batch(1, {}, kHalfSegment));
  produce("t", 0, make_batch(1, {}, kHalfSegment));
  // Answers that are not read: their slices hold the segment's file.
  RawConnection slow(broker_->kafka_port());
  const auto bytes = encode_request(12, 5, "unit-test", fetch_request("t", 0, 0))->flatten().value();
  for (int i = 0; i < 20; ++i) slow.write_frame(bytes);
  delete_records(-1);
  EXPECT_TRUE(segments_become({3}));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(slow.read_frame());
}

}  // namespace
}  // namespace tributary::test
