// What opening a log makes of what a crash, or a disk, left.

#include "cluster/storage/index_file.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using OffsetList = std::vector<std::int64_t>;

TEST_F(LogTest, AnEmptyFolderBecomesAnEmptyLog) {
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(0));
  EXPECT_EQ(log_->segment_count(), 1u);
  PowerCut();
  Open();
  EXPECT_EQ(Append({}).base_offset, Offset(0));
}

TEST_F(LogTest, AfterAKillAllThatWasWrittenIsThereAndDurable) {
  Open();
  AppendMany(3);
  Kill();
  Open();
  EXPECT_EQ(log_->stable_offset(), Offset(3));
  PowerCut();  // recovery has synced what the dead process had not
  Open();
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
}

TEST_F(LogTest, ATornBatchIsCutOffWhereverItIsTorn) {
  Open();
  AppendMany(2);
  const auto whole = SizeOf(Path(0, kLogSuffix));
  Append({.value_bytes = 100});
  const auto end = SizeOf(Path(0, kLogSuffix));
  log_.reset();
  const auto before = fs_->copy();
  for (auto size = whole; size < end; ++size) {
    fs_ = before->copy();
    Cut(Path(0, kLogSuffix), end - size);
    Open();
    EXPECT_EQ(log_->log_end_offset(), Offset(2));
    EXPECT_EQ(log_->recovery().bytes_cut, size - whole);
    EXPECT_EQ(SizeOf(Path(0, kLogSuffix)), whole);
    EXPECT_EQ(log_->recovery().cut_reason.empty(), size == whole);
    EXPECT_EQ(Append({}).base_offset, Offset(2));
    EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
  }
}

TEST_F(LogTest, AnyDamagedByteOfAnUnacknowledgedBatchCutsItOff) {
  Open();
  AppendMany(2);
  const auto whole = SizeOf(Path(0, kLogSuffix));
  Append({.value_bytes = 20});
  const auto end = SizeOf(Path(0, kLogSuffix));
  log_.reset();
  const auto before = fs_->copy();
  for (auto position = whole; position < end; ++position) {
    if (position >= whole + 12 && position < whole + 16) continue;  // the leader epoch has no check
    fs_ = before->copy();
    FlipByte(Path(0, kLogSuffix), position);
    Open();
    ASSERT_EQ(log_->log_end_offset(), Offset(2)) << position;
    ASSERT_NE(log_->recovery().cut_reason.find("at position " + std::to_string(whole)), std::string::npos);
  }
}

TEST_F(LogTest, GarbageZerosAndAnEarlierBatchAfterTheEndAreCutOff) {
  Open();
  AppendMany(3);
  const auto end = SizeOf(Path(0, kLogSuffix));
  const auto first = FileBytes(Path(0, kLogSuffix));
  log_.reset();
  const auto before = fs_->copy();
  for (const auto& tail : {Bytes(1, 0), Bytes(5000, 0), Bytes(5000, 0xff), first}) {
    fs_ = before->copy();
    Overwrite(Path(0, kLogSuffix), end, tail);
    Open();
    EXPECT_EQ(log_->recovery().bytes_cut, tail.size());
    EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
  }
}

TEST_F(LogTest, DamageBelowTheRecoveryPointIsRefusedAndNamed) {
  Open();
  AppendMany(5);
  Flush();
  options_.recovery_point = Offset(4);
  Kill();
  const auto before = fs_->copy();
  const auto one = batch({}).size();
  FlipByte(Path(0, kLogSuffix), 3 * one + 30);
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_NE(refused.error().message.find(fmt::format("{} at position {} (offset 3)", Path(0, kLogSuffix), 3 * one)),
            std::string::npos)
      << refused.error().message;
  EXPECT_EQ(SizeOf(Path(0, kLogSuffix)), 5 * one);  // untouched
  fs_ = before->copy();
  FlipByte(Path(0, kLogSuffix), 4 * one + 30);  // above it: a torn write
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(4));
}

TEST_F(LogTest, ABatchAcrossTheDurablePointIsRefused) {
  Open();
  AppendMany(5);
  Flush();
  options_.recovery_point = Offset(5);
  Kill();
  SetLastOffsetDelta(Path(0, kLogSuffix), 2 * batch({}).size(), 100);  // offsets 2 to 102
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_NE(refused.error().message.find("the batch at offset 2 reaches to 103"), std::string::npos);
}

TEST_F(LogTest, ASnapshotSaysThatAllBelowItIsDurable) {
  options_.config.segment_bytes = 500;
  Open();
  for (int i = 0; i < 10; ++i) {  // one batch a segment
    Append({.value_bytes = 300});
    Flush();
  }
  Kill();
  ASSERT_TRUE(fs_->exists(Path(9, kSnapshotSuffix)));
  const auto before = fs_->copy();
  ASSERT_TRUE(fs_->remove(Path(9, kLogSuffix)));  // above it: as if it had never become durable
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(9));

  log_.reset();
  fs_ = before->copy();
  ASSERT_TRUE(fs_->remove(Path(9, kLogSuffix)));
  Cut(Path(8, kLogSuffix), 1);
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_NE(refused.error().message.find(Path(8, kLogSuffix) + " at position 0 (offset 8)"), std::string::npos);
}

TEST_F(LogTest, AMissingSegmentInTheMiddleIsCutOffOrRefusedByTheDurablePoint) {
  options_.config.segment_bytes = 500;
  Open();
  for (int i = 0; i < 5; ++i) Append({.value_bytes = 300});  // nothing flushed
  Kill();
  const auto before = fs_->copy();
  ASSERT_TRUE(fs_->remove(Path(2, kLogSuffix)));
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(2));
  EXPECT_EQ(log_->recovery().segments_removed, 2u);
  EXPECT_FALSE(fs_->exists(Path(3, kLogSuffix)));
  EXPECT_FALSE(fs_->exists(Path(2, kOffsetIndexSuffix)));
  EXPECT_EQ(Append({}).base_offset, Offset(2));

  log_.reset();
  fs_ = before->copy();
  ASSERT_TRUE(fs_->remove(Path(2, kLogSuffix)));
  options_.recovery_point = Offset(3);
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
}

TEST_F(LogTest, NoSegmentsAtAllAreRefusedIfSomeWereDurable) {
  Open();
  AppendMany(3);
  Flush();
  options_.recovery_point = Offset(3);
  Kill();
  ASSERT_TRUE(fs_->remove(Path(0, kLogSuffix)));
  EXPECT_EQ(TryOpen().error().code, Errc::kCorrupt);
}

TEST_F(LogTest, AfterACleanStopNothingIsScanned) {
  options_.config.segment_bytes = 2000;
  Open();
  AppendMany(50);
  CloseCleanly();
  Open();
  EXPECT_FALSE(log_->recovery().scanned);
  EXPECT_EQ(log_->log_end_offset(), Offset(50));
  EXPECT_EQ(log_->stable_offset(), Offset(50));
  EXPECT_EQ(Append({}).base_offset, Offset(50));
  EXPECT_EQ(ReadOffsets().size(), 51u);
}

TEST_F(LogTest, ACleanStopWhoseFilesWereChangedIsScanned) {
  Open();
  AppendMany(50);
  CloseCleanly();
  Overwrite(Path(0, kLogSuffix), SizeOf(Path(0, kLogSuffix)), Bytes(10, 1));
  Open();
  EXPECT_TRUE(log_->recovery().scanned);
  EXPECT_EQ(log_->recovery().bytes_cut, 10u);
  CloseCleanly();
  Cut(Path(0, kLogSuffix), 1);
  EXPECT_EQ(TryOpen().error().code, Errc::kCorrupt);
}

TEST_F(LogTest, MissingLongAndGarbageIndexesOfTheActiveSegmentAreRebuilt) {
  options_.config.index_interval_bytes = 200;
  Open();
  AppendMany(50);
  CloseCleanly();
  const auto index = FileBytes(Path(0, kOffsetIndexSuffix));
  const auto check = [&](bool scanned) {
    Open();
    EXPECT_EQ(log_->recovery().scanned, scanned);
    EXPECT_EQ(ReadOffsets().size(), 50u);
    EXPECT_EQ(log_->read(Offset(25), 1, Offset(50), true)->first_offset, Offset(25));
    CloseCleanly();
    EXPECT_EQ(FileBytes(Path(0, kOffsetIndexSuffix)), index);
  };
  check(false);
  ASSERT_TRUE(fs_->remove(Path(0, kOffsetIndexSuffix)));
  check(true);
  Cut(Path(0, kOffsetIndexSuffix), index.size() / 2 / 8 * 8);
  check(true);
  Overwrite(Path(0, kOffsetIndexSuffix), 0, Bytes(index.size(), 0xcd));
  check(true);
  Overwrite(Path(0, kOffsetIndexSuffix), index.size(), Bytes(10 << 10, 0));  // preallocated
  check(true);
}

TEST_F(LogTest, StrayFilesAreLeftAlone) {
  Open();
  AppendMany(3);
  Kill();
  for (const auto* name : {"notes.txt", "abc.log", "0.log", "99999999999999999999.log", "partition.metadata"})
    Overwrite(fmt::format("{}/{}", kFolder, name), 0, as_bytes("x"));
  Overwrite(std::string(kFolder) + "/leader-epoch-checkpoint.tmp", 0, as_bytes("0\n"));
  Overwrite(Path(77, kOffsetIndexSuffix), 0, as_bytes("orphan!!"));
  Open();
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
  EXPECT_TRUE(fs_->exists(std::string(kFolder) + "/notes.txt"));
  EXPECT_TRUE(fs_->exists(std::string(kFolder) + "/99999999999999999999.log"));
  EXPECT_FALSE(fs_->exists(std::string(kFolder) + "/leader-epoch-checkpoint.tmp"));
  EXPECT_FALSE(fs_->exists(Path(77, kOffsetIndexSuffix)));
}

TEST_F(LogTest, ADamagedEpochCheckpointIsRebuiltFromTheBatches) {
  options_.config.segment_bytes = 500;
  Open();
  for (int epoch : {1, 1, 4, 9, 9})
    ASSERT_TRUE(log_->append(batch({.value_bytes = 300}), LeaderEpoch(epoch)));
  CloseCleanly();
  const auto path = std::string(kFolder) + "/leader-epoch-checkpoint";
  const auto expected = FileBytes(path);
  EXPECT_EQ(as_string_view(expected), "0\n3\n1 0\n4 2\n9 3\n");
  Overwrite(path, 0, as_bytes("garbage"));
  Open();
  EXPECT_EQ(log_->leader_epoch(), LeaderEpoch(9));
  EXPECT_EQ(FileBytes(path), expected);
}

TEST_F(LogTest, EpochsOfBatchesThatWereLostAreForgotten) {
  Open();
  ASSERT_TRUE(log_->append(batch({}), LeaderEpoch(1)));
  Flush();
  ASSERT_TRUE(log_->append(batch({}), LeaderEpoch(2)));
  log_.reset();
  Cut(Path(0, kLogSuffix), 1);
  Open();
  EXPECT_EQ(log_->leader_epoch(), LeaderEpoch(1));
}

TEST_F(LogTest, ALogThatStartsAboveZeroIsOpened) {
  options_.log_start_offset = Offset(1000);
  Open();
  EXPECT_EQ(log_->log_start_offset(), Offset(1000));
  EXPECT_EQ(Append({}).base_offset, Offset(1000));
  EXPECT_TRUE(fs_->exists(Path(1000, kLogSuffix)));
  Kill();
  options_.log_start_offset = Offset(0);
  Open();
  EXPECT_EQ(log_->log_start_offset(), Offset(1000));
  EXPECT_EQ(log_->read(Offset(999), 100, Offset(1001), true).error().code, Errc::kOutOfRange);
}

TEST_F(LogTest, AFailedSyncAtOpenRefusesTheLog) {
  Open();
  Append({});
  Kill();
  fs_->set_hook([](auto operation, const auto&) -> Result<> {
    if (operation == sim::SimulatedFileSystem::Operation::kSyncData) return fail(Errc::kIo, "broken disk");
    return {};
  });
  EXPECT_EQ(TryOpen().error().code, Errc::kIo);
}

}  // namespace
}  // namespace tributary
