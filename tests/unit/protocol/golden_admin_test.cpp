// Administration: each value of the frames of others stands in its field. See golden_test.cpp.

#include <gtest/gtest.h>

#include "tests/unit/protocol/any_message.h"
#include "tests/unit/protocol/golden.h"

namespace tributary {
namespace {

using golden::decode_defaults;
using golden::decode_filled;
using golden::i16;
using golden::i32;
using golden::i64;
using golden::i8;
using golden::text;

TEST(GoldenValues, CreatePartitions) {
  const auto m = decode_filled<CreatePartitionsRequest>(3);
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics.at(1).count, i32("Count", 1));
  ASSERT_TRUE(m.topics.at(1).assignments);
  EXPECT_EQ(m.topics.at(1).assignments->at(1).broker_ids.at(1).value(), i32("BrokerIds", 1));
  EXPECT_EQ(m.timeout_ms, i32("TimeoutMs"));
  EXPECT_TRUE(m.validate_only);

  const auto r = decode_filled<CreatePartitionsResponse>(3);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.topics.at(1).error_code), i16("ErrorCode", 1));
  EXPECT_EQ(r.topics.at(1).error_message, text("ErrorMessage", 1));
}

TEST(GoldenValues, DeleteRecords) {
  const auto m = decode_filled<DeleteRecordsRequest>(2);
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).offset.value(), i64("Offset", 1));
  EXPECT_EQ(m.timeout_ms, i32("TimeoutMs"));

  const auto r = decode_filled<DeleteRecordsResponse>(2);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  const auto& p = r.topics.at(1).partitions.at(1);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(p.low_watermark.value(), i64("LowWatermark", 1));
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
}

TEST(GoldenValues, IncrementalAlterConfigs) {
  const auto m = decode_filled<IncrementalAlterConfigsRequest>(1);
  EXPECT_EQ(static_cast<std::int8_t>(m.resources.at(1).type), i8("ResourceType", 1));
  EXPECT_EQ(m.resources.at(1).name, text("ResourceName", 1));
  const auto& config = m.resources.at(1).configs.at(1);
  EXPECT_EQ(config.name, text("Name", 1));
  EXPECT_EQ(static_cast<std::int8_t>(config.operation), i8("ConfigOperation", 1));
  EXPECT_EQ(config.value, text("Value", 1));
  EXPECT_TRUE(m.validate_only);

  const auto r = decode_filled<IncrementalAlterConfigsResponse>(1);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.resources.at(1).error_code), i16("ErrorCode", 1));
  EXPECT_EQ(r.resources.at(1).error_message, text("ErrorMessage", 1));
  EXPECT_EQ(static_cast<std::int8_t>(r.resources.at(1).type), i8("ResourceType", 1));
  EXPECT_EQ(r.resources.at(1).name, text("ResourceName", 1));
}

TEST(GoldenValues, OffsetForLeaderEpoch) {
  const auto m = decode_filled<OffsetForLeaderEpochRequest>(4);
  EXPECT_EQ(m.replica_id.value(), i32("ReplicaId"));
  EXPECT_EQ(m.topics.at(1).name, text("Topic", 1));
  const auto& partition = m.topics.at(1).partitions.at(1);
  EXPECT_EQ(partition.index.value(), i32("Partition", 1));
  EXPECT_EQ(partition.current_leader_epoch.value(), i32("CurrentLeaderEpoch", 1));
  EXPECT_EQ(partition.leader_epoch.value(), i32("LeaderEpoch", 1));
  const auto old = decode_filled<OffsetForLeaderEpochRequest>(2);
  EXPECT_EQ(old.replica_id, OffsetForLeaderEpochRequest::kDebugReplica);

  const auto r = decode_filled<OffsetForLeaderEpochResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Topic", 1));
  const auto& p = r.topics.at(1).partitions.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(p.index.value(), i32("Partition", 1));
  EXPECT_EQ(p.leader_epoch.value(), i32("LeaderEpoch", 1));
  EXPECT_EQ(p.end_offset.value(), i64("EndOffset", 1));
}

TEST(GoldenValues, DescribeLogDirs) {
  const auto m = decode_filled<DescribeLogDirsRequest>(4);
  ASSERT_TRUE(m.topics);
  EXPECT_EQ(m.topics->at(1).name, text("Topic", 1));
  EXPECT_EQ(m.topics->at(1).partitions.at(1).value(), i32("Partitions", 1));
  EXPECT_EQ(decode_defaults<DescribeLogDirsRequest>(1).topics, std::nullopt);
  EXPECT_EQ(decode_defaults<DescribeLogDirsRequest>(4).topics, std::nullopt);

  const auto r = decode_filled<DescribeLogDirsResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  const auto& dir = r.log_dirs.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(dir.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(dir.path, text("LogDir", 1));
  EXPECT_EQ(dir.total_bytes, i64("TotalBytes", 1));
  EXPECT_EQ(dir.usable_bytes, i64("UsableBytes", 1));
  EXPECT_EQ(dir.topics.at(1).name, text("Name", 1));
  const auto& p = dir.topics.at(1).partitions.at(1);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(p.size_bytes, i64("PartitionSize", 1));
  EXPECT_EQ(p.offset_lag, i64("OffsetLag", 1));
  EXPECT_TRUE(p.is_future);
  EXPECT_EQ(decode_filled<DescribeLogDirsResponse>(2).error_code, ErrorCode::kNone);
  EXPECT_EQ(decode_filled<DescribeLogDirsResponse>(3).log_dirs.at(0).total_bytes, -1);
}

}  // namespace
}  // namespace tributary
