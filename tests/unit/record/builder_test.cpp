#include "common/record/batch_builder.h"

#include <limits>

#include "tests/unit/record/records.h"

namespace tributary {
namespace {

class EveryCodec : public testing::TestWithParam<Compression> {};

TEST_P(EveryCodec, GivesBackWhatWasAppended) {
  auto records = readings(500);
  records[3].key = std::nullopt;
  records[4].value = std::nullopt;
  records[5].headers = {{"topic", "sensors/5"}, {"null", std::nullopt}, {"", ""}};
  records[6].timestamp_ms -= 100'000;
  const auto batch = batch_of(records, {.compression = GetParam()});
  const auto header = validate_batch(batch, {.record_check = RecordCheck::kAll});
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->compression(), GetParam());
  EXPECT_EQ(header->partition_leader_epoch, kNoLeaderEpoch);
  EXPECT_FALSE(header->idempotent());
  EXPECT_EQ(header->max_timestamp_ms, records.back().timestamp_ms);
  EXPECT_EQ(read_all(batch).value(), records);
}

TEST_P(EveryCodec, StoresWithoutACodecWhatWouldNotShrink) {
  const auto batch = batch_of({{0, 1, "k", "v", {}}}, {.compression = GetParam()});
  EXPECT_EQ(parse_batch_header(batch)->compression(), Compression::kNone);
  EXPECT_EQ(read_all(batch)->size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Codecs, EveryCodec, testing::ValuesIn(kAllCodecs),
                         [](const auto& codec) { return std::string(name_of(codec.param)); });

TEST(BatchBuilder, ItsSizeIsExactAndARecordsBoundHolds) {
  BatchBuilder builder;
  for (const auto& record : readings(200)) {
    const auto before = builder.uncompressed_bytes();
    append(builder, record);
    EXPECT_LE(builder.uncompressed_bytes() - before,
              BatchBuilder::record_bytes_max(view_of(record.key), view_of(record.value)));
  }
  const auto bytes = builder.uncompressed_bytes();
  EXPECT_EQ(builder.record_count(), 200);
  EXPECT_EQ(builder.finish({})->size(), bytes);
  EXPECT_TRUE(builder.empty());
  EXPECT_EQ(builder.uncompressed_bytes(), kBatchHeaderSize);
}

TEST(BatchBuilder, TheNextBatchKnowsNothingOfTheFormer) {
  BatchBuilder builder;
  for (const auto& record : readings(100)) append(builder, record);
  ASSERT_TRUE(builder.finish({.compression = Compression::kZstd}));
  const OwnedRecord only{0, 5, "key", "value", {}};
  append(builder, only);
  const auto batch = builder.finish({.producer_id = ProducerId(9),
                                     .producer_epoch = ProducerEpoch(1),
                                     .base_sequence = Sequence(0x7fffffff)});
  EXPECT_EQ(read_all(*batch).value(), std::vector{only});
  const auto header = validate_batch(*batch, {});
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->base_timestamp_ms, 5);
  EXPECT_EQ(header->max_timestamp_ms, 5);
  EXPECT_EQ(header->last_sequence(), Sequence(0x7fffffff));
}

TEST(BatchBuilder, KeepsExtremeTimestamps) {
  const std::vector<OwnedRecord> records{{0, std::numeric_limits<std::int64_t>::min(), "a", "b", {}},
                                         {1, std::numeric_limits<std::int64_t>::max(), "a", "b", {}},
                                         {2, -1, "a", "b", {}}};
  EXPECT_EQ(read_all(batch_of(records)).value(), records);
}

TEST(BatchBuilder, KeepsLargeValues) {
  std::vector<OwnedRecord> records;
  for (int i = 0; i < 3; ++i) records.push_back({i, 7, "k", std::string(3'000'000, 'x'), {}});
  for (const auto codec : kAllCodecs)
    EXPECT_EQ(read_all(batch_of(records, {.compression = codec})).value(), records) << name_of(codec);
}

}  // namespace
}  // namespace tributary
