// Appending and rolling.

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using OffsetList = std::vector<std::int64_t>;

TEST_F(LogTest, OffsetsAreDenseOverBatches) {
  Open();
  EXPECT_EQ(Append({.count = 3}).base_offset, Offset(0));
  const auto info = Append({.count = 2});
  EXPECT_EQ(info.base_offset, Offset(3));
  EXPECT_EQ(info.last_offset, Offset(4));
  EXPECT_FALSE(info.duplicate);
  EXPECT_EQ(info.log_append_time_ms, -1);
  EXPECT_EQ(log_->log_end_offset(), Offset(5));
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 3}));
}

TEST_F(LogTest, TheStoredBatchDiffersOnlyInOffsetAndEpoch) {
  Open();
  Append({.count = 3});
  auto sent = batch({.count = 2, .value_bytes = 50});
  ASSERT_TRUE(log_->append(sent, LeaderEpoch(7)));
  const auto slice = log_->read(Offset(3), 1 << 20, Offset(5), false).value();
  Bytes stored(slice.length);
  ASSERT_EQ(slice.file->read_at(slice.position, stored).value(), sent.size());
  patch_offset_and_epoch(sent, Offset(3), LeaderEpoch(7));
  EXPECT_EQ(stored, sent);
  EXPECT_EQ(log_->leader_epoch(), LeaderEpoch(7));
}

TEST_F(LogTest, SeveralBatchesInOneAppendGetConsecutiveOffsets) {
  Open();
  auto records = batch({.count = 2});
  const auto second = batch({.count = 3});
  records.insert(records.end(), second.begin(), second.end());
  const auto info = log_->append(records, LeaderEpoch(0)).value();
  EXPECT_EQ(info.base_offset, Offset(0));
  EXPECT_EQ(info.last_offset, Offset(4));
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 2}));
}

TEST_F(LogTest, ASegmentIsRolledBeforeItIsLargerThanSegmentBytes) {
  options_.config.segment_bytes = 1000;
  Open();
  AppendMany(10, {.value_bytes = 220});  // about 300 bytes each
  EXPECT_EQ(log_->segment_count(), 4u);
  for (const auto base : {0, 3, 6}) EXPECT_LE(SizeOf(Path(base, kLogSuffix)), 1000u);
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(LogTest, ASegmentIsRolledWhenItsRecordsSpanMoreThanSegmentMs) {
  options_.config.segment_ms = 1000;
  Open();
  Append({.timestamp_ms = 5000});
  Append({.timestamp_ms = 6000});
  EXPECT_EQ(log_->segment_count(), 1u);
  Append({.timestamp_ms = 6001});
  EXPECT_EQ(log_->segment_count(), 2u);
}

TEST_F(LogTest, ADeviceClockThatGoesBackDoesNotRoll) {
  options_.config.segment_ms = 1000;
  Open();
  Append({.timestamp_ms = 1'700'000'000'000});
  Append({.timestamp_ms = 0});
  Append({.timestamp_ms = 1'700'000'000'500});
  EXPECT_EQ(log_->segment_count(), 1u);
}

TEST_F(LogTest, TheAgeOfARecoveredSegmentIsThatOfItsFirstBatch) {
  options_.config.segment_ms = 1000;
  Open();
  Append({.timestamp_ms = 5000});
  Kill();
  Open();
  Append({.timestamp_ms = 7000});
  EXPECT_EQ(log_->segment_count(), 2u);
}

TEST_F(LogTest, WithoutTimestampsTheBrokersClockRolls) {
  options_.config.segment_ms = 1000;
  Open();
  Append({.timestamp_ms = -1});
  clock_.advance(std::chrono::milliseconds(1000));
  Append({.timestamp_ms = -1});
  EXPECT_EQ(log_->segment_count(), 1u);
  clock_.advance(std::chrono::milliseconds(1));
  Append({.timestamp_ms = -1});
  EXPECT_EQ(log_->segment_count(), 2u);
}

TEST_F(LogTest, ASegmentIsRolledWhenItsIndexIsFull) {
  options_.config.index_interval_bytes = 1;
  options_.config.index_bytes_max = 40;
  Open();
  for (int i = 0; i < 20; ++i) Append({.timestamp_ms = 1000 + i});
  EXPECT_GT(log_->segment_count(), 3u);
  for (const auto& name : Names()) {
    if (name.ends_with("index")) {
      EXPECT_LE(SizeOf(fmt::format("{}/{}", kFolder, name)), 40u);
    }
  }
}

TEST_F(LogTest, ABatchLargerThanTheLimitIsRefused) {
  options_.config.limits.batch_bytes_max = 500;
  Open();
  EXPECT_EQ(TryAppend({.value_bytes = 600}).error().code, Errc::kTooLarge);
  options_.config.limits.batch_bytes_max = 5000;
  options_.config.segment_bytes = 500;
  Open();
  EXPECT_EQ(TryAppend({.value_bytes = 600}).error().code, Errc::kTooLarge);
  EXPECT_EQ(Append({}).base_offset, Offset(0));
}

TEST_F(LogTest, OneBadBatchRefusesTheWholeAppend) {
  Open();
  auto records = batch({});
  auto second = batch({});
  second.back() ^= 1;
  records.insert(records.end(), second.begin(), second.end());
  EXPECT_EQ(log_->append(records, LeaderEpoch(0)).error().code, Errc::kCorrupt);
  EXPECT_EQ(log_->log_end_offset(), Offset(0));
  EXPECT_EQ(log_->size_bytes(), 0u);
}

TEST_F(LogTest, MoreOffsetsThanASegmentCountsAreRefused) {
  options_.config.limits.decompressed_bytes_max = SIZE_MAX;  // so that no other limit is met first
  Open();
  auto records = batch({.value_bytes = 500, .compression = Compression::kGzip});
  const Bytes delta{0x7f, 0xff, 0xff, 0xfe}, count{0x7f, 0xff, 0xff, 0xff};
  std::copy(delta.begin(), delta.end(), records.begin() + 23);
  std::copy(count.begin(), count.end(), records.begin() + 57);
  patch_producer(records, kNoProducerId, kNoProducerEpoch, kNoSequence);  // a CRC that matches
  auto twice = batch({});
  twice.insert(twice.end(), records.begin(), records.end());
  twice.insert(twice.end(), records.begin(), records.end());
  EXPECT_EQ(log_->append(twice, LeaderEpoch(0)).error().code, Errc::kTooLarge);
  EXPECT_TRUE(log_->append(records, LeaderEpoch(0)));
  EXPECT_TRUE(log_->append(records, LeaderEpoch(0)));
  Flush();
  Kill();
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(2ll * INT32_MAX));
}

TEST_F(LogTest, DamageOnTheDiskIsNotTakenForABadBatch) {
  options_.config.index_interval_bytes = 200;  // a clean start looks only behind the last entry
  Open();
  AppendMany(20);
  CloseCleanly();
  FlipByte(Path(0, kLogSuffix), 16);  // the magic of the first batch
  Open();
  const auto info = TryAppend({});
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Errc::kIo) << info.error().message;
}

TEST_F(LogTest, RollsWithoutAFlushKeepABoundedNumberOfSnapshots) {
  options_.config.segment_bytes = 700;
  Open();
  EXPECT_FALSE(log_->wants_flush());
  AppendMany(100);
  EXPECT_TRUE(log_->wants_flush());
  Flush();
  EXPECT_FALSE(log_->wants_flush());
  EXPECT_EQ(std::ranges::count_if(Names(), [](const auto& name) { return name.ends_with(kSnapshotSuffix); }), 2);
}

TEST_F(LogTest, EmptyAndTruncatedRecordsAreRefused) {
  Open();
  EXPECT_EQ(log_->append({}, LeaderEpoch(0)).error().code, Errc::kInvalidArgument);
  const auto whole = batch({});
  for (std::size_t length = 1; length < whole.size(); ++length)
    EXPECT_FALSE(log_->append(ByteView(whole).first(length), LeaderEpoch(0)));
  EXPECT_EQ(log_->log_end_offset(), Offset(0));
}

TEST_F(LogTest, AnOlderLeaderEpochIsFenced) {
  Open();
  ASSERT_TRUE(log_->append(batch({}), LeaderEpoch(3)));
  EXPECT_EQ(log_->append(batch({}), LeaderEpoch(2)).error().code, Errc::kFenced);
  ASSERT_TRUE(log_->append(batch({}), LeaderEpoch(5)));
  EXPECT_EQ(as_string_view(FileBytes(std::string(kFolder) + "/leader-epoch-checkpoint")), "0\n2\n3 0\n5 1\n");
}

TEST_F(LogTest, SegmentBytesAbovePositionsRangeAreRefused) {
  options_.config.segment_bytes = 1u << 31;
  EXPECT_EQ(TryOpen().error().code, Errc::kInvalidArgument);
}

TEST_F(LogTest, AnAppendDoesNotMoveTheStableOffset) {
  Open();
  Append({.count = 5});
  EXPECT_EQ(log_->stable_offset(), Offset(0));
  const auto ticket = log_->begin_flush();
  ASSERT_TRUE(ticket);
  Append({});
  log_->complete_flush(*ticket, sync_ticket(*fs_, *ticket));
  EXPECT_EQ(log_->stable_offset(), Offset(5));
  Flush();
  EXPECT_EQ(log_->stable_offset(), Offset(6));
  EXPECT_FALSE(log_->begin_flush());
}

TEST_F(LogTest, ATicketAfterRollsNamesEverySegmentThatIsNotDurable) {
  options_.config.segment_bytes = 600;
  Open();
  AppendMany(6, {.value_bytes = 300});
  const auto ticket = log_->begin_flush();
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->files.size(), 5u * 3 + 1);  // five rolled ones with their indexes, the active one
  EXPECT_EQ(ticket->folder, kFolder);
  log_->complete_flush(*ticket, sync_ticket(*fs_, *ticket));
  Append({});
  Flush();
  Append({});
  EXPECT_EQ(log_->begin_flush()->files.size(), 1u);
  EXPECT_EQ(log_->begin_flush()->folder, "");
}

TEST_F(LogTest, ALaterTicketCoversAnEarlierOne) {
  Open();
  Append({});
  const auto first = log_->begin_flush().value();
  Append({});
  const auto second = log_->begin_flush().value();
  log_->complete_flush(second, {});
  EXPECT_EQ(log_->stable_offset(), Offset(2));
  log_->complete_flush(first, {});
  EXPECT_EQ(log_->stable_offset(), Offset(2));
}

TEST_F(LogTest, AClosedLogTakesNoAppends) {
  Open();
  Append({});
  ASSERT_TRUE(log_->close_cleanly());
  EXPECT_EQ(TryAppend({}).error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace tributary
