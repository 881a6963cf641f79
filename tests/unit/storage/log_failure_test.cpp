// Full disks and failing disks.

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using Operation = sim::SimulatedFileSystem::Operation;
using OffsetList = std::vector<std::int64_t>;

class LogFailureTest : public LogTest {
 protected:
  /// From now on `operation` fails for paths that end so; nothing fails with an empty set.
  void Fail(std::set<Operation> operations, std::string path_end = "") {
    fs_->set_hook([=](Operation operation, const std::string& path) -> Result<> {
      if (operations.contains(operation) && path.ends_with(path_end)) return fail(Errc::kIo, "broken disk");
      return {};
    });
  }
};

TEST_F(LogFailureTest, AFullDiskRefusesTheAppendAndTheLogGoesOnWhenThereIsSpace) {
  Open();
  AppendMany(3, from_producer(-1, -1, -1));
  Append(from_producer(7, 0, 0));
  const auto size = SizeOf(Path(0, kLogSuffix));
  fs_->set_capacity(fs_->used_bytes());
  fs_->set_capacity(1u << 20);
  const auto used = fs_->used_bytes();
  for (std::uint64_t room = 0; room < 60; room += 7) {  // written in part
    fs_->set_capacity(used + room);
    const auto refused = TryAppend(from_producer(7, 0, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kNoSpace);
    EXPECT_EQ(SizeOf(Path(0, kLogSuffix)), size);
    EXPECT_EQ(log_->log_end_offset(), Offset(4));
  }
  fs_->set_capacity(1u << 20);
  const auto info = Append(from_producer(7, 0, 1));
  EXPECT_FALSE(info.duplicate);
  EXPECT_EQ(info.base_offset, Offset(4));
  Flush();
  PowerCut();
  Open();
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3, 4}));
}

TEST_F(LogFailureTest, WhatAFailedWriteLeftIsCutOffBeforeTheNextAppend) {
  Open();
  AppendMany(3);
  fs_->set_capacity(1u << 20);
  fs_->set_capacity(fs_->used_bytes() + 50);
  Fail({Operation::kTruncate});
  EXPECT_EQ(TryAppend({}).error().code, Errc::kNoSpace);
  fs_->set_capacity(1u << 20);
  EXPECT_EQ(TryAppend({}).error().code, Errc::kIo);  // cannot be cut off yet
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
  Fail({});
  EXPECT_EQ(Append({}).base_offset, Offset(3));
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3}));
}

TEST_F(LogFailureTest, AFullDiskAtARollRefusesTheAppendAndGoesOn) {
  options_.config.segment_bytes = 500;
  options_.config.index_interval_bytes = 1;
  Open();
  Append({.value_bytes = 100});
  Append({.value_bytes = 100});
  fs_->set_capacity(1u << 20);
  fs_->set_capacity(fs_->used_bytes());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(TryAppend({.value_bytes = 300}).error().code, Errc::kNoSpace);
  fs_->set_capacity(1u << 20);
  Append({.value_bytes = 300});
  Append({.value_bytes = 300});
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3}));
  Flush();
  PowerCut();
  Open();
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3}));
}

TEST_F(LogFailureTest, ASegmentThatCannotBeCreatedLeavesTheOldOneActive) {
  options_.config.segment_bytes = 500;
  Open();
  Append({.value_bytes = 300});
  Fail({Operation::kCreate}, kLogSuffix.data());
  EXPECT_EQ(TryAppend({.value_bytes = 300}).error().code, Errc::kIo);
  Append({.value_bytes = 10});
  Fail({});
  Append({.value_bytes = 300});
  EXPECT_EQ(log_->segment_count(), 2u);
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2}));
}

TEST_F(LogFailureTest, AFullDiskDoesNotKeepALogFromOpening) {
  options_.config.segment_bytes = 500;
  Open();
  for (int i = 0; i < 8; ++i) Append(from_producer(7, 0, i));
  Kill();
  std::string last_log;
  for (const auto& name : Names())
    if (name.ends_with(kLogSuffix)) last_log = name;
  Cut(fmt::format("{}/{}", kFolder, last_log), 1);
  fs_->set_capacity(1u << 20);
  fs_->set_capacity(fs_->used_bytes());
  Open();
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(Append(from_producer(7, 0, 6)).duplicate);
  EXPECT_EQ(TryAppend(from_producer(7, 0, 7, 3)).error().code, Errc::kNoSpace);
  fs_->set_capacity(1u << 20);
  EXPECT_EQ(Append(from_producer(7, 0, 7)).base_offset, Offset(7));
}

TEST_F(LogFailureTest, AFailedSyncTakesTheLogOfflineForGood) {
  Open();
  AppendMany(3);
  Flush();
  AppendMany(2);
  Fail({Operation::kSyncData});
  EXPECT_EQ(log_->flush().error().code, Errc::kUnavailable);
  Fail({});
  ASSERT_TRUE(log_->offline());
  EXPECT_NE(log_->offline()->message.find("broken disk"), std::string::npos);
  EXPECT_EQ(TryAppend({}).error().code, Errc::kUnavailable);
  EXPECT_NE(TryAppend({}).error().message.find("broken disk"), std::string::npos);
  EXPECT_FALSE(log_->begin_flush());
  EXPECT_EQ(log_->close_cleanly().error().code, Errc::kUnavailable);
  EXPECT_EQ(log_->stable_offset(), Offset(3));
  EXPECT_EQ(ReadOffsets(Offset(0), log_->stable_offset()), (OffsetList{0, 1, 2}));
}

TEST_F(LogFailureTest, ATicketCompletedAfterAFailureDoesNotMoveTheStableOffset) {
  Open();
  Append({});
  const auto first = log_->begin_flush().value();
  Append({});
  const auto second = log_->begin_flush().value();
  log_->complete_flush(first, fail(Errc::kIo, "broken disk"));
  log_->complete_flush(second, {});
  EXPECT_EQ(log_->stable_offset(), Offset(0));
}

TEST_F(LogFailureTest, AFailedFolderSyncTakesTheLogOffline) {
  options_.config.segment_bytes = 500;
  Open();
  AppendMany(3, {.value_bytes = 300});
  Fail({Operation::kSyncDirectory});
  EXPECT_FALSE(log_->flush());
  EXPECT_EQ(log_->stable_offset(), Offset(0));
}

TEST_F(LogFailureTest, IndexesAndSnapshotsThatCannotBeWrittenCostNothingButTime) {
  options_.config.segment_bytes = 700;
  options_.config.index_interval_bytes = 1;
  Open();
  for (int i = 0; i < 20; ++i) {
    Append(from_producer(7, 0, i));
    Flush();
    if (i == 5) Fail({Operation::kWrite}, kSnapshotSuffix.data());
  }
  Fail({});
  PowerCut();
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(20));
  for (int i = 15; i < 20; ++i) EXPECT_EQ(Append(from_producer(7, 0, i)).base_offset, Offset(i));
}

TEST_F(LogFailureTest, AnEpochThatCannotBeWrittenRefusesTheAppend) {
  Open();
  Fail({Operation::kRename});
  EXPECT_EQ(TryAppend({}).error().code, Errc::kIo);
  EXPECT_EQ(log_->log_end_offset(), Offset(0));
  Fail({});
  EXPECT_EQ(Append({}).base_offset, Offset(0));
}

}  // namespace
}  // namespace tributary
