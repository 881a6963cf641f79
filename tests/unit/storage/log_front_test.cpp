// The front of a log: what retention and DeleteRecords take away, and what they must leave.

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

constexpr std::int64_t kHour = 3'600'000;

class LogFrontTest : public LogTest {
 protected:
  LogFrontTest() {
    options_.config.segment_bytes = 1000;
    fs_->set_wall_ms(clock_.wall_now_ms());
  }
  /// A segment of its own: `count` records, the newest of them `age_ms` old.
  void AppendSegment(std::int64_t age_ms, std::int32_t count = 10) {
    ASSERT_TRUE(log_->start_new_segment());
    Append({.count = count, .timestamp_ms = clock_.wall_now_ms() - age_ms - (count - 1)});
  }
  Offset PointByAge(std::int64_t ms) { return log_->retention_point({.ms = ms}, clock_.wall_now_ms()).value(); }
  Offset PointBySize(std::int64_t bytes) {
    return log_->retention_point({.bytes = bytes}, clock_.wall_now_ms()).value();
  }
  void Raise(Offset offset) {
    log_->raise_log_start(offset);
    options_.log_start_offset = offset;  // as the checkpoint would have it
  }
  void RemoveFiles() {
    log_->prepare_removal();
    while (log_->wants_flush()) Flush();  // ends: what fails is not tried for ever
    for (const auto& path : log_->take_removable_files().paths) EXPECT_TRUE(!fs_->exists(path) || fs_->remove(path));
  }
  std::vector<std::string> LogFiles() {
    auto names = Names();
    std::erase_if(names, [](const auto& name) { return !name.ends_with(kLogSuffix); });
    return names;
  }
  static std::string LogFile(std::int64_t base) { return segment_file_name(Offset(base), kLogSuffix); }
};

TEST_F(LogFrontTest, SegmentsAreDueWhenTheirNewestRecordIsOlderThanRetentionMs) {
  Open();
  for (const std::int64_t age : {5, 4, 3, 2, 1}) AppendSegment(age * kHour);
  Flush();
  EXPECT_EQ(PointByAge(-1), Offset(0));
  EXPECT_EQ(PointByAge(6 * kHour), Offset(0));
  EXPECT_EQ(PointByAge(5 * kHour), Offset(0));  // not older
  EXPECT_EQ(PointByAge(5 * kHour - 1), Offset(10));
  EXPECT_EQ(PointByAge(2 * kHour + 1), Offset(30));
  EXPECT_EQ(PointByAge(0), Offset(50));  // the active one, too
}

TEST_F(LogFrontTest, ASegmentBehindAYoungOneStays) {
  Open();
  AppendSegment(kHour);
  AppendSegment(9 * kHour);
  AppendSegment(0);
  Flush();
  EXPECT_EQ(PointByAge(2 * kHour), Offset(0));
}

TEST_F(LogFrontTest, SegmentsAreDueWhenTheLogIsLargeEnoughWithoutThem) {
  Open();
  for (int i = 0; i < 4; ++i) AppendSegment(0);
  Flush();
  const auto segment = static_cast<std::int64_t>(log_->size_bytes() / 4);
  EXPECT_EQ(PointBySize(-1), Offset(0));
  EXPECT_EQ(PointBySize(3 * segment + 1), Offset(0));
  EXPECT_EQ(PointBySize(3 * segment), Offset(10));
  EXPECT_EQ(PointBySize(segment + 1), Offset(20));
  EXPECT_EQ(PointBySize(1), Offset(30));  // the active one is more than nothing
}

TEST_F(LogFrontTest, WhatIsNotDurableIsNeverDue) {
  Open();
  AppendSegment(9 * kHour);
  Flush();
  AppendSegment(9 * kHour);
  AppendSegment(9 * kHour);
  EXPECT_EQ(PointByAge(kHour), Offset(10));
  EXPECT_EQ(PointBySize(1), Offset(10));
}

TEST_F(LogFrontTest, ATimestampInTheFutureCountsAsTheLastAppend) {
  Open();
  AppendSegment(-10'000 * kHour);
  ASSERT_TRUE(log_->start_new_segment());
  Flush();
  EXPECT_EQ(PointByAge(kHour), Offset(0));
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(PointByAge(3 * kHour), Offset(0));
  EXPECT_EQ(PointByAge(kHour), Offset(10));
  Kill();
  Open();
  EXPECT_EQ(PointByAge(3 * kHour), Offset(0));
}

TEST_F(LogFrontTest, WhatWasWrittenWhileTheClockWasYearsAheadIsAsOldAsThatIsKnown) {
  Open();
  const auto now = clock_.wall_now_ms();
  fs_->set_wall_ms(now + 90'000 * kHour);
  AppendSegment(-90'000 * kHour);
  ASSERT_TRUE(log_->start_new_segment());
  Flush();
  fs_->set_wall_ms(now);
  EXPECT_EQ(PointByAge(kHour), Offset(0));
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(PointByAge(3 * kHour), Offset(0));
  EXPECT_EQ(PointByAge(kHour), Offset(10));
}

TEST_F(LogFrontTest, AClockThatIsYearsBehindForAWhileTakesNothingEarly) {
  Open();
  AppendSegment(-90'000 * kHour);  // counts as the time of its append
  ASSERT_TRUE(log_->start_new_segment());
  Flush();
  const auto now = clock_.wall_now_ms();
  clock_.jump_wall_to(0);
  EXPECT_EQ(PointByAge(kHour), Offset(0));
  clock_.jump_wall_to(now);
  EXPECT_EQ(PointByAge(kHour), Offset(0));
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(PointByAge(kHour), Offset(10));
}

TEST_F(LogFrontTest, RecordsWithoutATimestampAreAsOldAsTheirAppend) {
  Open();
  Append({.count = 1, .timestamp_ms = kNoTimestamp});
  ASSERT_TRUE(log_->start_new_segment());
  Flush();
  EXPECT_EQ(PointByAge(kHour), Offset(0));
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(PointByAge(kHour), Offset(1));
}

TEST_F(LogFrontTest, AnEmptyLogHasNothingDue) {
  Open();
  EXPECT_EQ(PointByAge(0), Offset(0));
  EXPECT_EQ(PointBySize(0), Offset(0));
}

TEST_F(LogFrontTest, WhatLiesBelowTheStartIsNotServed) {
  Open();
  AppendMany(10, {.count = 4});
  Flush();
  Raise(Offset(14));
  EXPECT_EQ(log_->log_start_offset(), Offset(14));
  EXPECT_EQ(log_->read(Offset(13), 1000, log_->stable_offset(), true).error().code, Errc::kOutOfRange);
  EXPECT_EQ(log_->read(Offset(14), 1000, log_->stable_offset(), true)->first_offset, Offset(12));  // whole batches
  log_->raise_log_start(Offset(7));
  EXPECT_EQ(log_->log_start_offset(), Offset(14));
  Kill();
  Open();
  EXPECT_EQ(log_->log_start_offset(), Offset(14));
}

TEST_F(LogFrontTest, SearchesByTimeFindNothingBelowTheStart) {
  Open();
  Append({.count = 4, .timestamp_ms = 9'000});
  for (int i = 1; i < 10; ++i) Append({.count = 4, .timestamp_ms = 1'000 * i});
  Flush();
  Raise(Offset(6));
  EXPECT_EQ(log_->offset_for_time(0, Offset(40)).value()->offset, Offset(6));
  EXPECT_EQ(log_->offset_for_time(9'000, Offset(40)).value()->offset, Offset(36));
  const auto largest = log_->offset_of_max_timestamp(Offset(40)).value();
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->offset, Offset(39));
  EXPECT_EQ(log_->offset_of_max_timestamp(Offset(36)).value()->offset, Offset(35));
  Raise(Offset(40));
  EXPECT_FALSE(log_->offset_for_time(0, Offset(40)).value());
  EXPECT_FALSE(log_->offset_of_max_timestamp(Offset(40)).value());
}

TEST_F(LogFrontTest, FilesGoOnlyWhenADurableSnapshotOutlivesThem) {
  Open();
  for (int i = 0; i < 3; ++i) AppendSegment(0);
  Flush();  // writes the snapshots, and does not sync them
  Raise(Offset(20));
  EXPECT_TRUE(log_->has_removable_segments());
  EXPECT_EQ(log_->take_removable_files().segments, 0u);
  log_->prepare_removal();
  EXPECT_TRUE(log_->wants_flush());
  Flush();
  const auto files = log_->take_removable_files();
  EXPECT_EQ(files.segments, 2u);
  EXPECT_EQ(files.paths.size(), 6u);
  EXPECT_EQ(log_->segment_count(), 1u);
  EXPECT_FALSE(log_->has_removable_segments());
}

TEST_F(LogFrontTest, ASnapshotThatFailedIsTakenAgainWhenAsked) {
  Open();
  AppendSegment(0);
  Flush();
  ASSERT_TRUE(log_->start_new_segment());
  Raise(Offset(10));
  fs_->set_hook([](auto operation, const std::string& path) -> Result<> {
    const bool refused = operation == sim::SimulatedFileSystem::Operation::kCreate && path.ends_with(kSnapshotSuffix);
    return refused ? Result<>(fail(Errc::kNoSpace, "full")) : Result<>{};
  });
  RemoveFiles();
  EXPECT_EQ(LogFiles(), (std::vector{LogFile(0), LogFile(10)}));
  fs_->set_hook(nullptr);
  RemoveFiles();
  EXPECT_EQ(LogFiles(), std::vector<std::string>{LogFile(10)});
}

TEST_F(LogFrontTest, ASliceOfARemovedSegmentStaysReadable) {
  Open();
  AppendSegment(0);
  AppendSegment(0);
  Flush();
  const auto slice = log_->read(Offset(0), 1000, Offset(10), true).value();
  Raise(Offset(10));
  RemoveFiles();
  EXPECT_EQ(LogFiles(), std::vector<std::string>{LogFile(10)});
  Bytes bytes(slice.length);
  EXPECT_EQ(slice.file->read_at(slice.position, bytes).value(), bytes.size());
  EXPECT_TRUE(validate_stored_batch(bytes));
}

TEST_F(LogFrontTest, AllRecordsCanGoAndTheOffsetsGoOn) {
  Open();
  AppendMany(20);
  Flush();
  ASSERT_TRUE(log_->start_new_segment());
  Raise(Offset(20));
  RemoveFiles();
  EXPECT_EQ(log_->size_bytes(), 0u);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    PowerCut(seed);
    Open();
    EXPECT_EQ(log_->log_start_offset(), Offset(20));
    EXPECT_EQ(log_->log_end_offset(), Offset(20));
  }
  EXPECT_EQ(Append().base_offset, Offset(20));
  CloseCleanly();
  Open();
  EXPECT_FALSE(log_->recovery().scanned);
  EXPECT_EQ(ReadOffsets(), std::vector<std::int64_t>{20});
}

TEST_F(LogFrontTest, ProducersWhoseBatchesAreGoneAreStillRecognised) {
  Open();
  for (int i = 0; i < 7; ++i) Append(from_producer(7, 0, i));
  AppendMany(20);
  Flush();
  ASSERT_TRUE(log_->start_new_segment());
  Raise(log_->log_end_offset());
  RemoveFiles();
  const auto check = [&] {
    for (int i = 2; i < 7; ++i) EXPECT_EQ(Append(from_producer(7, 0, i)).base_offset, Offset(i));
    EXPECT_EQ(TryAppend(from_producer(7, 0, 0)).error().code, Errc::kDuplicateSequence);
    EXPECT_EQ(TryAppend(from_producer(7, 0, 9)).error().code, Errc::kOutOfOrderSequence);
  };
  check();
  Kill();
  Open();
  check();
  CloseCleanly();
  Open();
  check();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    PowerCut(seed);
    Open();
    check();
  }
  Append(from_producer(7, 0, 7));
}

TEST_F(LogFrontTest, ACrashWhileTheOnlySnapshotIsWrittenAgainLosesNoProducer) {
  Open();
  for (int i = 0; i < 7; ++i) Append(from_producer(7, 0, i));
  Flush();
  ASSERT_TRUE(log_->start_new_segment());
  Raise(Offset(7));
  RemoveFiles();
  PowerCut();
  Open();
  std::vector<std::unique_ptr<sim::SimulatedFileSystem>> crashed;
  SeededRandom random(1);
  fs_->set_hook([&](auto, const std::string&) -> Result<> {
    for (int i = 0; i < 8; ++i) crashed.push_back(fs_->after_power_cut(random));
    return {};
  });
  ASSERT_TRUE(log_->close_cleanly());  // writes the snapshot of offset 7, which is there
  fs_->set_hook(nullptr);
  EXPECT_GE(crashed.size(), 8u);
  for (auto& image : crashed) {
    log_.reset();
    fs_ = std::move(image);
    Open();
    EXPECT_EQ(Append(from_producer(7, 0, 6)).base_offset, Offset(6));
  }
}

TEST_F(LogFrontTest, ARemovalThatACrashCutShortIsFinishedByTheNextOpen) {
  Open();
  for (int i = 0; i < 5; ++i) AppendSegment(0);
  Flush();
  Raise(Offset(35));
  log_->prepare_removal();
  while (log_->wants_flush()) Flush();
  ASSERT_EQ(log_->take_removable_files().segments, 3u);
  ASSERT_TRUE(fs_->remove(Path(10, kLogSuffix)));
  ASSERT_TRUE(fs_->remove(Path(20, kOffsetIndexSuffix)));
  ASSERT_TRUE(fs_->remove(std::string(kFolder) + "/leader-epoch-checkpoint"));  // so that all is read again
  Kill();
  Open();
  EXPECT_EQ(LogFiles(), (std::vector{LogFile(30), LogFile(40)}));
  EXPECT_EQ(log_->log_start_offset(), Offset(35));
  EXPECT_EQ(ReadOffsets(Offset(40), Offset(50)), std::vector<std::int64_t>{40});
}

TEST_F(LogFrontTest, SegmentsThatNoSnapshotOutlivesAreKeptByTheNextOpen) {
  Open();
  for (int i = 0; i < 3; ++i) Append(from_producer(7, 0, 5 * i, 5));
  AppendSegment(0);
  Flush();
  Raise(Offset(15));
  Kill();
  for (const auto& name : Names()) {
    EXPECT_TRUE(!name.ends_with(kSnapshotSuffix) || fs_->remove(std::string(kFolder) + "/" + name));
  }
  Open();
  EXPECT_EQ(LogFiles(), (std::vector{LogFile(0), LogFile(15)}));
  EXPECT_EQ(Append(from_producer(7, 0, 10, 5)).base_offset, Offset(10));  // recognised from its batch
  RemoveFiles();
  EXPECT_EQ(LogFiles(), std::vector<std::string>{LogFile(15)});
}

TEST_F(LogFrontTest, AStartAboveTheRecoveryPointIsADurablePoint) {
  Open();
  AppendMany(10);
  Flush();
  Raise(Offset(8));
  Kill();
  Cut(Path(0, kLogSuffix), 300);  // into what was acknowledged
  EXPECT_EQ(TryOpen().error().code, Errc::kCorrupt);
}

TEST_F(LogFrontTest, ALogThatIsOfflineOrClosedTakesNoNewSegment) {
  Open();
  Append();
  CloseCleanly();
  Open();
  ASSERT_TRUE(log_->close_cleanly());
  EXPECT_EQ(log_->start_new_segment().error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace tributary
