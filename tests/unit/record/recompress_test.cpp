#include "common/record/recompress.h"

#include "tests/support/code_of.h"
#include "tests/unit/record/records.h"

namespace tributary {
namespace {

using test::code_of;

constexpr std::size_t kBytesMax = 1u << 20;

Bytes assembled(const RecompressedBatch& recompressed) {
  auto header = recompressed.header;
  header.crc = batch_crc(header, recompressed.records);
  const auto encoded = encode_batch_header(header);
  Bytes batch(encoded.begin(), encoded.end());
  batch.insert(batch.end(), recompressed.records.begin(), recompressed.records.end());
  return batch;
}

TEST(Recompress, EveryCodecBecomesEveryOther) {
  const BatchOptions producer{.producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(2), .base_sequence = Sequence(40)};
  for (const auto from : kAllCodecs) {
    auto options = producer;
    options.compression = from;
    auto batch = batch_of(readings(200), options);
    patch_offset_and_epoch(batch, Offset(5'000), LeaderEpoch(3));
    for (const auto to : kAllCodecs) {
      SCOPED_TRACE(fmt::format("{} to {}", name_of(from), name_of(to)));
      const auto recompressed = recompress(batch, to, std::nullopt, kBytesMax);
      ASSERT_TRUE(recompressed) << recompressed.error().message;
      const auto again = assembled(*recompressed);
      ASSERT_TRUE(validate_batch(again, {.record_check = RecordCheck::kAll}));
      EXPECT_EQ(recompressed->header.compression(), to);
      EXPECT_EQ(*read_all(again), *read_all(batch));
      auto expected = *parse_batch_header(batch);  // all else is as it was
      EXPECT_EQ(recompressed->header.base_offset, expected.base_offset);
      EXPECT_EQ(recompressed->header.last_offset_delta, expected.last_offset_delta);
      EXPECT_EQ(recompressed->header.base_timestamp_ms, expected.base_timestamp_ms);
      EXPECT_EQ(recompressed->header.max_timestamp_ms, expected.max_timestamp_ms);
      EXPECT_EQ(recompressed->header.producer_id, expected.producer_id);
      EXPECT_EQ(recompressed->header.producer_epoch, expected.producer_epoch);
      EXPECT_EQ(recompressed->header.base_sequence, expected.base_sequence);
      EXPECT_EQ(recompressed->header.record_count, expected.record_count);
    }
  }
}

TEST(Recompress, TheCodecIsTheOneAskedForAlsoWhereItDoesNotHelp) {
  const auto batch = batch_of({{0, 1, "k", "v", {}}});
  for (const auto codec : kAllCodecs) {
    const auto recompressed = recompress(batch, codec, std::nullopt, kBytesMax);
    ASSERT_TRUE(recompressed);
    EXPECT_EQ(parse_batch_header(assembled(*recompressed))->compression(), codec);
    EXPECT_EQ(*read_all(assembled(*recompressed)), *read_all(batch));
  }
}

TEST(Recompress, AHigherLevelPacksMoreAndIsReadTheSame) {
  const auto batch = batch_of(readings(2'000));
  const std::tuple<Compression, int, int> levels[] = {
      {Compression::kGzip, 1, 9}, {Compression::kLz4, 0, 12}, {Compression::kZstd, -100, 19}};
  for (const auto& [codec, low, high] : levels) {
    const auto loose = recompress(batch, codec, low, kBytesMax), tight = recompress(batch, codec, high, kBytesMax);
    ASSERT_TRUE(loose && tight) << name_of(codec);
    EXPECT_LT(tight->records.size(), loose->records.size()) << name_of(codec);
    EXPECT_EQ(*read_all(assembled(*loose)), *read_all(batch));
    EXPECT_EQ(*read_all(assembled(*tight)), *read_all(batch));
  }
}

TEST(Recompress, WhatIsNoBatchOfRecordsIsRefused) {
  auto garbage = batch_of(readings(50), {.compression = Compression::kGzip});
  for (auto byte = garbage.begin() + kBatchHeaderSize; byte != garbage.end(); ++byte) *byte ^= 0x5a;
  EXPECT_EQ(code_of(recompress(garbage, Compression::kZstd, std::nullopt, kBytesMax)), Errc::kCorrupt);
  auto malformed = batch_of(readings(2));
  malformed.back() = 0x7f;  // a header count
  EXPECT_EQ(code_of(recompress(malformed, Compression::kZstd, std::nullopt, kBytesMax)), Errc::kCorrupt);
  EXPECT_EQ(code_of(recompress(ByteView(malformed).first(70), Compression::kZstd, std::nullopt, kBytesMax)), Errc::kCorrupt);
}

TEST(Recompress, MorePlainBytesThanAllowedAreNotMade) {
  const auto batch = batch_of({{0, 1, "k", std::string(100'000, 'v'), {}}}, {.compression = Compression::kZstd});
  EXPECT_TRUE(recompress(batch, Compression::kNone, std::nullopt, 110'000));
  EXPECT_EQ(code_of(recompress(batch, Compression::kNone, std::nullopt, 90'000)), Errc::kTooLarge);
}

}  // namespace
}  // namespace tributary
