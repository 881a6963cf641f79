#include <gmock/gmock.h>

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class ProduceTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t", 2), ErrorCode::kNone);
  }
};

TEST_F(ProduceTest, OffsetsCountRecordsPerPartition) {
  EXPECT_EQ(produce("t", 0, make_batch(3)).base_offset, Offset(0));
  EXPECT_EQ(produce("t", 0, make_batch(2)).base_offset, Offset(3));
  EXPECT_EQ(produce("t", 1, make_batch(1)).base_offset, Offset(0));
  EXPECT_EQ(end_offset("t", 0), 5);
}

TEST_F(ProduceTest, EveryServedVersionIsAnswered) {
  const auto batch = make_batch(1);
  for (std::int16_t version = ProduceRequest::valid.min; version <= ProduceRequest::valid.max; ++version) {
    const auto answer = ask(produce_request("t", 0, batch), version);
    EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone) << version;
  }
  EXPECT_EQ(end_offset("t", 0), ProduceRequest::valid.max - ProduceRequest::valid.min + 1);
}

TEST_F(ProduceTest, EveryCodecIsKeptAsItCame) {
  std::int64_t offset = 0;
  for (const auto codec : {Compression::kNone, Compression::kGzip, Compression::kSnappy, Compression::kLz4, Compression::kZstd}) {
    const auto batch = make_batch(50, {}, 100, 1'000, codec);
    EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kNone) << name_of(codec);
    const auto answer = fetch("t", 0, offset);
    const auto stored = answer->topics.at(0).partitions.at(0).records.view();
    ASSERT_EQ(stored.size(), batch.size());
    EXPECT_TRUE(std::equal(stored.begin() + kBatchPrefixSize, stored.end(), batch.begin() + kBatchPrefixSize));
    EXPECT_EQ(parse_batch_header(stored)->base_offset, Offset(offset));
    offset += 50;
  }
}

TEST_F(ProduceTest, WithLogAppendTimeTheAnswerHasTheTime) {
  ASSERT_EQ(create_topic("stamped", 1, {{"message.timestamp.type", "LogAppendTime"}}), ErrorCode::kNone);
  EXPECT_EQ(produce("t", 0, make_batch(3)).log_append_time_ms, -1);
  const auto before = system_clock().wall_now_ms();
  for (const std::int16_t acks : {ProduceRequest::kAcksAll, ProduceRequest::kAcksLeader}) {
    const auto answer = produce("stamped", 0, make_batch(3), acks);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    EXPECT_GE(answer.log_append_time_ms, before);
    EXPECT_LE(answer.log_append_time_ms, system_clock().wall_now_ms());
    EXPECT_TRUE(eventually(kDeadline, [&] { return end_offset("stamped", 0) == answer.base_offset.value() + 3; }));
    const auto fetched = fetch("stamped", 0, answer.base_offset.value());
    const auto stored = validate_stored_batch(fetched->topics.at(0).partitions.at(0).records.view());
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_EQ(stored->timestamp_type(), TimestampType::kLogAppendTime);
    EXPECT_EQ(stored->max_timestamp_ms, answer.log_append_time_ms);
  }
  EXPECT_EQ(produce("stamped", 5, make_batch(3)).log_append_time_ms, -1);
}

TEST_F(ProduceTest, TimesThatTheTopicDoesNotTakeAreNamed) {
  ASSERT_EQ(create_topic("strict", 1, {{"message.timestamp.before.max.ms", "60000"}, {"message.timestamp.after.max.ms", "60000"}}),
            ErrorCode::kNone);
  const auto now = system_clock().wall_now_ms();
  EXPECT_EQ(produce("strict", 0, make_batch(3, {}, 10, now)).error_code, ErrorCode::kNone);
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    const auto old = produce("strict", 0, make_batch(50, {}, 100, 1'000, codec));
    EXPECT_EQ(old.error_code, ErrorCode::kInvalidTimestamp);
    EXPECT_NE(old.error_message.value_or("").find("message.timestamp.before.max.ms"), std::string::npos);
    EXPECT_EQ(produce("strict", 0, make_batch(50, {}, 100, now + 120'000, codec)).error_code, ErrorCode::kInvalidTimestamp);
  }
  EXPECT_EQ(end_offset("strict", 0), 3);
}

TEST_F(ProduceTest, RecordsWithATimeThatTheTopicDoesNotTakeAreListed) {
  ASSERT_EQ(create_topic("strict", 1, {{"message.timestamp.before.max.ms", "60000"}}), ErrorCode::kNone);
  const auto now = system_clock().wall_now_ms();
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    BatchBuilder builder;
    for (const auto time : {now, std::int64_t{1'000}, now, std::int64_t{2'000}})
      builder.append(time, std::nullopt, as_bytes(std::string(100, 'v')));
    const auto batch = builder.finish({.compression = codec}).value();
    const auto refused = produce("strict", 0, batch);
    EXPECT_EQ(refused.error_code, ErrorCode::kInvalidTimestamp);
    ASSERT_EQ(refused.record_errors.size(), 2u);
    EXPECT_EQ(refused.record_errors[0].batch_index, 1);
    EXPECT_EQ(refused.record_errors[1].batch_index, 3);
    EXPECT_THAT(refused.record_errors[1].message.value(), testing::HasSubstr("2000"));
    EXPECT_THAT(refused.error_message.value(), testing::HasSubstr("2 of 4 records"));
    // Before version 8 there is no place for it.
    const auto old = ask(produce_request("strict", 0, batch), 7);
    EXPECT_EQ(old->topics.at(0).partitions.at(0).error_code, ErrorCode::kInvalidTimestamp);
    EXPECT_TRUE(old->topics.at(0).partitions.at(0).record_errors.empty());
  }
}

TEST_F(ProduceTest, OfManyRefusedRecordsTheFirstAreListed) {
  ASSERT_EQ(create_topic("strict", 20, {{"message.timestamp.before.max.ms", "60000"}}), ErrorCode::kNone);
  const auto batch = make_batch(5'000);
  ProduceRequest request;
  request.acks = ProduceRequest::kAcksAll;
  request.timeout_ms = 10'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "strict";
  for (int i = 0; i < 20; ++i) topic.partitions.push_back({PartitionIndex(i), produce_request("strict", i, batch).topics[0].partitions[0].records});
  const auto answer = ask(request);
  std::size_t listed = 0;
  for (const auto& partition : answer->topics.at(0).partitions) {
    EXPECT_EQ(partition.error_code, ErrorCode::kInvalidTimestamp);
    EXPECT_THAT(partition.error_message.value(), testing::HasSubstr("5000 of 5000 records"));
    EXPECT_LE(partition.record_errors.size(), RefusedRecords::kNamedMax);
    listed += partition.record_errors.size();
  }
  EXPECT_EQ(listed, 1'000u);  // in the whole response
}

TEST_F(ProduceTest, AMalformedRecordIsNamed) {
  auto bad = make_batch(2);
  bad[kBatchHeaderSize + (bad.size() - kBatchHeaderSize) / 2 + 3] = 0;  // the second record's offset delta
  patch_producer(bad, kNoProducerId, kNoProducerEpoch, kNoSequence);       // a CRC that matches
  const auto refused = produce("t", 0, bad);
  EXPECT_EQ(refused.error_code, ErrorCode::kInvalidRecord) << "which is not sent again";
  ASSERT_EQ(refused.record_errors.size(), 1u);
  EXPECT_EQ(refused.record_errors[0].batch_index, 1);
}

TEST_F(ProduceTest, WhyAWholeBatchIsRefusedIsSaid) {
  ASSERT_EQ(create_topic("small", 1, {{"max.message.bytes", "100"}}), ErrorCode::kNone);
  const auto expect = [](const ProduceResponse::Partition& answer, ErrorCode code, std::initializer_list<std::string> words) {
    EXPECT_EQ(answer.error_code, code);
    for (const auto& word : words) EXPECT_THAT(answer.error_message.value_or(""), testing::HasSubstr(word));
    EXPECT_TRUE(answer.record_errors.empty());
  };
  const auto large = make_batch(1, {}, 200);
  expect(produce("small", 0, large), ErrorCode::kMessageTooLarge, {std::to_string(large.size()), "100", "max.message.bytes"});
  auto damaged = make_batch(1);
  damaged.back() ^= 1;
  expect(produce("t", 0, damaged), ErrorCode::kCorruptMessage, {"CRC"});
  auto two = make_batch(1);
  const auto second = make_batch(1);
  two.insert(two.end(), second.begin(), second.end());
  expect(produce("t", 0, two), ErrorCode::kInvalidRecord, {"follow the record batch"});
  expect(produce("t", 0, {}), ErrorCode::kInvalidRecord, {"no record batch"});
  expect(produce("t", 0, make_batch(), 2), ErrorCode::kInvalidRequiredAcks, {"acks is 2"});
  ASSERT_EQ(produce("t", 0, make_batch(1, {.id = 5, .epoch = 0, .sequence = 0})).error_code, ErrorCode::kNone);
  expect(produce("t", 0, make_batch(1, {.id = 5, .epoch = 0, .sequence = 9})), ErrorCode::kOutOfOrderSequenceNumber, {"producer 5"});
}

TEST_F(ProduceTest, ATimeThatIsTheBrokersToSetIsRefused) {
  auto batch = make_batch(1);
  batch[22] |= 8;  // log append time
  patch_producer(batch, kNoProducerId, kNoProducerEpoch, kNoSequence);  // a CRC that matches
  EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kInvalidTimestamp);
}

TEST_F(ProduceTest, BatchesAreCompressedAsTheTopicSays) {
  ASSERT_EQ(create_topic("packed", 1, {{"compression.type", "zstd"}}), ErrorCode::kNone);
  ASSERT_EQ(create_topic("plain", 1, {{"compression.type", "uncompressed"}}), ErrorCode::kNone);
  for (const auto codec : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    const auto batch = make_batch(50, {}, 100, 1'000, codec);
    for (const auto& [topic, stored] : {std::pair{"packed", Compression::kZstd}, std::pair{"plain", Compression::kNone}}) {
      const auto answer = produce(topic, 0, batch);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone);
      const auto fetched = fetch(topic, 0, answer.base_offset.value());
      const auto header = validate_stored_batch(fetched->topics.at(0).partitions.at(0).records.view());
      ASSERT_TRUE(header) << header.error().message;
      EXPECT_EQ(header->compression(), stored);
      EXPECT_EQ(header->record_count, 50);
    }
  }
}

TEST_F(ProduceTest, WhereMoreReplicasAreAskedForThanThereAreOnlyAcksAllIsRefused) {
  ASSERT_EQ(create_topic("replicated", 1, {{"min.insync.replicas", "2"}}), ErrorCode::kNone);
  const auto refused = produce("replicated", 0, make_batch());
  EXPECT_EQ(refused.error_code, ErrorCode::kNotEnoughReplicas);
  EXPECT_NE(refused.error_message.value_or("").find("min.insync.replicas"), std::string::npos);
  EXPECT_EQ(end_offset("replicated", 0), 0);
  EXPECT_EQ(produce("replicated", 0, make_batch(), ProduceRequest::kAcksLeader).error_code, ErrorCode::kNone);
  EXPECT_TRUE(eventually(kDeadline, [&] { return end_offset("replicated", 0) == 1; }));
}

TEST_F(ProduceTest, AcksZeroIsNotAnsweredButAppended) {
  RawConnection raw(broker_->kafka_port());
  const auto batch = make_batch(4);
  const auto frame = encode_request(9, 1, "unit-test", produce_request("t", 0, batch, 0));
  raw.write_frame(frame->flatten().value());
  const auto versions = encode_request(0, 2, "unit-test", ApiVersionsRequest{});
  raw.write_frame(versions->flatten().value());
  const auto answer = raw.read_frame();
  ASSERT_TRUE(answer);
  EXPECT_EQ(response_correlation_id(*answer).value(), 2);  // the next request's: the first had none
  EXPECT_TRUE(eventually(kDeadline, [&] { return end_offset("t", 0) == 4; }));
}

TEST_F(ProduceTest, AcksZeroThatFailsClosesTheConnection) {
  RawConnection raw(broker_->kafka_port());
  const auto batch = make_batch(1);
  raw.write_frame(encode_request(9, 1, "unit-test", produce_request("missing", 0, batch, 0))->flatten().value());
  EXPECT_TRUE(raw.is_closed());
}

TEST_F(ProduceTest, ASecondBatchForOnePartitionIsRefused) {
  auto two = make_batch(1);
  const auto second = make_batch(1);
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(produce("t", 0, two).error_code, ErrorCode::kInvalidRecord);
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(ProduceTest, ACompressedBatchThatClaimsTwoBillionRecordsIsRefused) {
  auto batch = make_batch(1, {}, 100, 1'000, Compression::kGzip);
  const Bytes delta{0x7f, 0xff, 0xff, 0xfe}, count{0x7f, 0xff, 0xff, 0xff};
  std::copy(delta.begin(), delta.end(), batch.begin() + 23);
  std::copy(count.begin(), count.end(), batch.begin() + 57);
  patch_producer(batch, kNoProducerId, kNoProducerEpoch, kNoSequence);  // a CRC that matches
  EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kInvalidRecord);
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(ProduceTest, AcksThatDoNotExistAreRefused) {
  EXPECT_EQ(produce("t", 0, make_batch(), 2).error_code, ErrorCode::kInvalidRequiredAcks);
  EXPECT_EQ(produce("t", 0, make_batch(), -2).error_code, ErrorCode::kInvalidRequiredAcks);
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(ProduceTest, UnknownTopicsAndPartitionsAreNamed) {
  EXPECT_EQ(produce("missing", 0, make_batch()).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(produce("t", 2, make_batch()).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(produce("t", -1, make_batch()).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(produce("t", INT32_MAX, make_batch()).error_code, ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(ProduceTest, OneBadPartitionDoesNotHinderTheOthers) {
  const auto good = make_batch(2);
  auto bad = make_batch(2);
  bad.back() ^= 1;
  ProduceRequest request = produce_request("t", 0, bad);
  request.topics[0].partitions.push_back({PartitionIndex(1), Records(ByteView(good))});
  request.topics.push_back({"missing", {{PartitionIndex(0), Records(ByteView(good))}}});
  const auto answer = ask(request);
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kCorruptMessage);
  EXPECT_TRUE(answer->topics.at(0).partitions.at(0).error_message);
  EXPECT_EQ(answer->topics.at(0).partitions.at(1).error_code, ErrorCode::kNone);
  EXPECT_EQ(answer->topics.at(1).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(end_offset("t", 0), 0);
  EXPECT_EQ(end_offset("t", 1), 2);
}

TEST_F(ProduceTest, OversizeBatchesAreTooLarge) {
  const auto batch = make_batch(1, {}, 2 << 20);
  EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kMessageTooLarge);
  ASSERT_EQ(create_topic("small", 1, {{"max.message.bytes", "500"}}), ErrorCode::kNone);
  EXPECT_EQ(produce("small", 0, make_batch(1, {}, 600)).error_code, ErrorCode::kMessageTooLarge);
  EXPECT_EQ(produce("small", 0, make_batch(1, {}, 100)).error_code, ErrorCode::kNone);
}

TEST_F(ProduceTest, EmptyRecordsAndOldFormatsAreRefused) {
  EXPECT_EQ(produce("t", 0, {}).error_code, ErrorCode::kInvalidRecord);
  auto old = make_batch(1);
  old[16] = 1;  // magic
  EXPECT_EQ(produce("t", 0, old).error_code, ErrorCode::kUnsupportedForMessageFormat);
  EXPECT_EQ(produce("t", 0, Bytes(30, 0)).error_code, ErrorCode::kCorruptMessage);
}

TEST_F(ProduceTest, ZstdNeedsTheVersionThatKnowsIt) {
  const auto batch = make_batch(100, {}, 100, 1'000, Compression::kZstd);
  ASSERT_EQ(parse_batch_header(batch)->compression(), Compression::kZstd);
  EXPECT_EQ(ask(produce_request("t", 0, batch), 6)->topics.at(0).partitions.at(0).error_code,
            ErrorCode::kUnsupportedCompressionType);
  EXPECT_EQ(ask(produce_request("t", 0, batch), 7)->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
}

TEST_F(ProduceTest, TransactionsAreRefused) {
  const auto batch = make_batch();
  auto request = produce_request("t", 0, batch);
  request.transactional_id = "tx";
  EXPECT_EQ(ask(request)->topics.at(0).partitions.at(0).error_code, ErrorCode::kInvalidTxnState);
}

TEST_F(ProduceTest, ARequestWithoutPartitionsIsAnswered) {
  ProduceRequest request;
  request.acks = -1;
  EXPECT_TRUE(ask(request)->topics.empty());
}

TEST_F(ProduceTest, WorksOverNngToo) {
  const auto nng = connect_by_nng();
  const auto batch = make_batch(3);
  const auto answer = ask(*nng, produce_request("t", 1, batch));
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).base_offset, Offset(0));
  EXPECT_EQ(end_offset("t", 1), 3);
}

TEST_F(ProduceTest, MetricsCountWhatHappened) {
  const auto batch = make_batch(2);
  produce("t", 0, batch);
  produce("t", 7, batch);
  EXPECT_EQ(metric("tributary_broker_appends_total"), 1);
  EXPECT_EQ(metric("tributary_broker_appended_bytes_total"), static_cast<double>(batch.size()));
  EXPECT_EQ(metric("tributary_broker_requests_total", {{"api", "Produce"}, {"error", "NONE"}}), 1);
  EXPECT_EQ(metric("tributary_broker_requests_total",
                   {{"api", "Produce"}, {"error", "UNKNOWN_TOPIC_OR_PARTITION"}}), 1);
  EXPECT_EQ(metric("tributary_broker_connections", {{"listener", "kafka"}}), 1);
  EXPECT_GE(metric("tributary_broker_flush_seconds_count"), 1);
}

}  // namespace
}  // namespace tributary::test
