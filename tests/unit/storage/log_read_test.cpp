// Reading and lookups by offset.

#include "cluster/storage/index_file.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using OffsetList = std::vector<std::int64_t>;

TEST_F(LogTest, AnEmptyLogReadsEmptyAtItsEndAndOutOfRangeElsewhere) {
  Open();
  EXPECT_EQ(log_->read(Offset(0), 1000, Offset(0), true)->length, 0u);
  EXPECT_EQ(log_->read(Offset(1), 1000, Offset(1), true).error().code, Errc::kOutOfRange);
  EXPECT_EQ(log_->read(Offset(-1), 1000, Offset(0), true).error().code, Errc::kOutOfRange);
}

TEST_F(LogTest, AnOffsetWithinABatchGivesTheWholeBatch) {
  Open();
  Append({.count = 5});
  Append({.count = 5});
  const auto slice = log_->read(Offset(7), 1000, Offset(10), true).value();
  EXPECT_EQ(slice.first_offset, Offset(5));
  EXPECT_EQ(slice.next_offset, Offset(10));
}

TEST_F(LogTest, NothingBeyondTheGivenOffsetIsRead) {
  Open();
  AppendMany(10);
  EXPECT_EQ(ReadOffsets(Offset(0), Offset(4)), (OffsetList{0, 1, 2, 3}));
  EXPECT_EQ(log_->read(Offset(5), 1000, Offset(4), true).error().code, Errc::kOutOfRange);
}

TEST_F(LogTest, ABatchThatEndsBeyondTheGivenOffsetIsNotRead) {
  Open();
  Append({.count = 5});
  EXPECT_EQ(log_->read(Offset(0), 1000, Offset(3), true)->length, 0u);
}

TEST_F(LogTest, ASliceHoldsWholeBatchesWithinTheLimit) {
  Open();
  AppendMany(10);
  const auto one = static_cast<std::uint32_t>(batch({}).size());
  EXPECT_EQ(log_->read(Offset(2), 3 * one, Offset(10), false)->length, 3 * one);
  EXPECT_EQ(log_->read(Offset(2), 4 * one - 1, Offset(10), false)->length, 3 * one);
  EXPECT_EQ(log_->read(Offset(2), one - 1, Offset(10), false)->length, 0u);
  EXPECT_EQ(log_->read(Offset(2), 0, Offset(10), true)->length, one);
}

TEST_F(LogTest, EveryOffsetIsFoundThroughTheIndexes) {
  options_.config.segment_bytes = 30'000;
  options_.config.index_interval_bytes = 1000;
  Open();
  SeededRandom random(7);
  OffsetList bases;
  while (log_->segment_count() < 5) {
    const auto count = static_cast<std::int32_t>(1 + random.below(5));
    bases.push_back(Append({.count = count, .value_bytes = random.below(400)}).base_offset.value());
  }
  const auto end = log_->log_end_offset();
  const auto check = [&] {
    for (std::int64_t offset = 0; offset < end.value(); ++offset) {
      const auto slice = log_->read(Offset(offset), 1, end, true).value();
      const auto base = *std::prev(std::upper_bound(bases.begin(), bases.end(), offset));
      ASSERT_EQ(slice.first_offset.value(), base);
    }
    for (const std::uint32_t bytes_max : {1u, 700u, 5000u, 1u << 20}) {
      ASSERT_EQ(ReadOffsets(Offset(0), end, bytes_max), bases);
      ASSERT_EQ(ReadOffsets(Offset(0), Offset(bases[100]), bytes_max),
                OffsetList(bases.begin(), bases.begin() + 100));
    }
  };
  check();
  CloseCleanly();
  Open();
  EXPECT_FALSE(log_->recovery().scanned);
  check();
  Kill();
  Open();
  EXPECT_TRUE(log_->recovery().scanned);
  check();
}

TEST_F(LogTest, MoreIndexEntriesThanAreKeptInMemoryAreFound) {
  options_.config.index_interval_bytes = 1;
  Open();
  AppendMany(1000);
  EXPECT_GE(SizeOf(Path(0, kOffsetIndexSuffix)), 8 * (999 - OffsetIndex::kPendingMax));
  for (std::int64_t offset = 0; offset < 1000; offset += 7)
    EXPECT_EQ(log_->read(Offset(offset), 1, Offset(1000), true)->first_offset, Offset(offset));
}

TEST_F(LogTest, ASliceStaysReadableAfterItsFileIsGone) {
  Open();
  Append({});
  const auto slice = log_->read(Offset(0), 1000, Offset(1), true).value();
  log_.reset();
  ASSERT_TRUE(remove_recursively(*fs_, kFolder));
  Bytes bytes(slice.length);
  EXPECT_EQ(slice.file->read_at(slice.position, bytes).value(), bytes.size());
  EXPECT_TRUE(validate_stored_batch(bytes));
}

TEST_F(LogTest, DamagedIndexesOfOldSegmentsAreRebuiltWhenUsed) {
  options_.config.segment_bytes = 5000;
  options_.config.index_interval_bytes = 200;
  const Bytes garbage(16, 0xab), zeros(16, 0);
  const std::vector<std::function<void(const std::string&)>> damages{
      [&](const std::string& path) { EXPECT_TRUE(fs_->remove(path)); },
      [&](const std::string& path) { Overwrite(path, 0, garbage); },
      [&](const std::string& path) { Overwrite(path, 8, zeros); },
      [&](const std::string& path) { Overwrite(path, SizeOf(path), garbage); },
      [&](const std::string& path) { Overwrite(path, SizeOf(path), zeros); },
      [&](const std::string& path) { Cut(path, 3); },
      [&](const std::string& path) { Cut(path, SizeOf(path)); },
      [&](const std::string& path) { FlipByte(path, SizeOf(path) - 1); },
      [&](const std::string& path) { FlipByte(path, SizeOf(path) / 2 + 3); },
  };
  Open();
  for (int i = 0; i < 100; ++i) Append({.value_bytes = 200, .timestamp_ms = 1000 + i});
  const auto expected = ReadOffsets();
  CloseCleanly();
  for (const auto& damage : damages) {
    damage(Path(0, kOffsetIndexSuffix));
    damage(Path(0, kTimeIndexSuffix));
    Open();
    EXPECT_FALSE(log_->recovery().scanned);
    for (std::int64_t offset = 0; offset < 100; offset += 3) {
      const auto slice = log_->read(Offset(offset), 1, Offset(100), true);
      ASSERT_TRUE(slice) << slice.error().message;
      EXPECT_EQ(slice->first_offset, Offset(offset));
      EXPECT_EQ(log_->offset_for_time(1000 + offset, Offset(100)).value()->offset, Offset(offset));
    }
    EXPECT_EQ(ReadOffsets(), expected);
    CloseCleanly();
  }
}

TEST_F(LogTest, DamageInAnOldSegmentIsNamedAndTheRestIsRead) {
  options_.config.segment_bytes = 1000;
  Open();
  AppendMany(12, {.value_bytes = 200});
  CloseCleanly();
  const auto one = batch({.value_bytes = 200}).size();
  FlipByte(Path(0, kLogSuffix), one + 16);  // the magic of the second batch
  Open();
  EXPECT_EQ(log_->read(Offset(0), 1 << 20, Offset(12), true)->next_offset, Offset(1));
  const auto damaged = log_->read(Offset(1), 1 << 20, Offset(12), true);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::kCorrupt);
  EXPECT_NE(damaged.error().message.find(Path(0, kLogSuffix) + " at position " + std::to_string(one)),
            std::string::npos);
  EXPECT_EQ(ReadOffsets(Offset(3), Offset(12)), (OffsetList{3, 4, 5, 6, 7, 8, 9, 10, 11}));
}

TEST_F(LogTest, ABatchThatReachesBeyondItsSegmentIsNamed) {
  options_.config.segment_bytes = 1000;
  options_.config.index_interval_bytes = 200;
  Open();
  AppendMany(7, {.value_bytes = 200});
  CloseCleanly();
  const auto one = batch({.value_bytes = 200}).size();
  SetLastOffsetDelta(Path(3, kLogSuffix), one, 9);
  Open();
  EXPECT_EQ(log_->read(Offset(3), 1, log_->log_end_offset(), true)->next_offset, Offset(4));
  const auto damaged = log_->read(Offset(4), 1, log_->log_end_offset(), true);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::kCorrupt);
}

TEST_F(LogTest, AnOldSegmentThatLacksItsEndIsNamed) {
  options_.config.segment_bytes = 1000;
  Open();
  AppendMany(12, {.value_bytes = 200});
  CloseCleanly();
  Cut(Path(0, kLogSuffix), batch({.value_bytes = 200}).size());
  Open();
  EXPECT_EQ(log_->read(Offset(0), 1 << 20, Offset(12), true)->next_offset, Offset(2));
  const auto missing = log_->read(Offset(2), 1 << 20, Offset(12), true);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("ends before offset 2 instead of 3"), std::string::npos);
}

}  // namespace
}  // namespace tributary
