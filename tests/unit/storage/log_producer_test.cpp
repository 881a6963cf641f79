// Idempotent producers (KIP-98), also over restarts.

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using OffsetList = std::vector<std::int64_t>;

TEST_F(LogTest, ADuplicateIsAnsweredWithItsOldOffsetAndNotWritten) {
  Open();
  Append({});
  Append(from_producer(7, 0, 0, 3));
  const auto info = Append(from_producer(7, 0, 0, 3));
  EXPECT_TRUE(info.duplicate);
  EXPECT_EQ(info.base_offset, Offset(1));
  EXPECT_EQ(info.last_offset, Offset(3));
  EXPECT_EQ(log_->log_end_offset(), Offset(4));
}

TEST_F(LogTest, AGapIsOutOfOrder) {
  Open();
  Append(from_producer(7, 0, 0, 3));
  EXPECT_EQ(TryAppend(from_producer(7, 0, 4)).error().code, Errc::kOutOfOrderSequence);
  EXPECT_EQ(Append(from_producer(7, 0, 3)).base_offset, Offset(3));
}

TEST_F(LogTest, AnOlderProducerEpochIsFenced) {
  Open();
  Append(from_producer(7, 3, 0));
  EXPECT_EQ(TryAppend(from_producer(7, 2, 1)).error().code, Errc::kFenced);
}

TEST_F(LogTest, AStaleDuplicateIsOnlyAcknowledgedOnceItIsDurable) {
  Open();
  for (int i = 0; i < 8; ++i) Append(from_producer(7, 0, i));
  EXPECT_EQ(TryAppend(from_producer(7, 0, 0)).error().code, Errc::kUnavailable);
  Flush();
  EXPECT_EQ(TryAppend(from_producer(7, 0, 0)).error().code, Errc::kDuplicateSequence);
}

TEST_F(LogTest, ARefusedBatchLeavesTheProducerAsItWas) {
  Open();
  auto records = batch(from_producer(7, 0, 0));
  const auto gap = batch(from_producer(7, 0, 5));
  records.insert(records.end(), gap.begin(), gap.end());
  EXPECT_EQ(log_->append(records, LeaderEpoch(0)).error().code, Errc::kOutOfOrderSequence);
  EXPECT_FALSE(Append(from_producer(7, 0, 0)).duplicate);
}

TEST_F(LogTest, SeveralBatchesOfOneProducerInOneAppendFollowEachOther) {
  Open();
  auto records = batch(from_producer(7, 0, 0, 2));
  for (const auto sequence : {2, 3}) {
    const auto next = batch(from_producer(7, 0, sequence));
    records.insert(records.end(), next.begin(), next.end());
  }
  EXPECT_EQ(log_->append(records, LeaderEpoch(0))->last_offset, Offset(3));
  const auto again = log_->append(records, LeaderEpoch(0)).value();
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.last_offset, Offset(3));
  const auto next = batch(from_producer(7, 0, 4));
  records.insert(records.end(), next.begin(), next.end());
  const auto mixed = log_->append(records, LeaderEpoch(0)).value();
  EXPECT_FALSE(mixed.duplicate);
  EXPECT_EQ(mixed.base_offset, Offset(0));
  EXPECT_EQ(mixed.last_offset, Offset(4));
  EXPECT_EQ(ReadOffsets(), (OffsetList{0, 2, 3, 4}));
}

TEST_F(LogTest, ADuplicateBehindANewBatchDoesNotMakeTheNewOneLookDurable) {
  Open();
  Append(from_producer(8, 0, 0));
  Flush();
  auto records = batch(from_producer(7, 0, 0));
  const auto old = batch(from_producer(8, 0, 0));
  records.insert(records.end(), old.begin(), old.end());
  EXPECT_EQ(log_->append(records, LeaderEpoch(0))->last_offset, Offset(1));
}

TEST_F(LogTest, TheLastFiveBatchesAreRecognisedAfterEveryKindOfStop) {
  options_.config.segment_bytes = 700;  // a few batches each
  Open();
  const auto check = [&] {
    for (int i = 15; i < 20; ++i) {
      const auto old = Append(from_producer(7, 0, 2 * i, 2));
      EXPECT_TRUE(old.duplicate);
      EXPECT_EQ(old.base_offset, Offset(3 * i));
    }
    EXPECT_EQ(TryAppend(from_producer(7, 0, 28, 2)).error().code, Errc::kDuplicateSequence);
    EXPECT_EQ(TryAppend(from_producer(7, 0, 41)).error().code, Errc::kOutOfOrderSequence);
  };
  for (int i = 0; i < 20; ++i) {  // two producers take turns
    Append(from_producer(7, 0, 2 * i, 2));
    Append(from_producer(8, 0, i));
    Flush();
  }
  ExpectThroughRestarts(check);
  PowerCut();
  Open();
  check();
}

TEST_F(LogTest, AProducerSilentForManySegmentsIsStillRecognised) {
  options_.config.segment_bytes = 700;
  Open();
  for (int i = 0; i < 5; ++i) Append(from_producer(7, 0, i));
  AppendMany(50);
  Flush();
  CloseCleanly();
  Open();
  AppendMany(50);
  Flush();
  PowerCut();
  Open();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Append(from_producer(7, 0, i)).base_offset, Offset(i));
}

TEST_F(LogTest, MissingAndDamagedSnapshotsAreMadeUpForByReplay) {
  options_.config.segment_bytes = 700;
  Open();
  for (int i = 0; i < 20; ++i) Append(from_producer(7, 0, i));
  Flush();
  for (int i = 20; i < 40; ++i) Append(from_producer(7, 0, i));
  Flush();
  std::vector<std::string> snapshots;
  for (const auto& name : Names())
    if (name.ends_with(kSnapshotSuffix)) snapshots.push_back(fmt::format("{}/{}", kFolder, name));
  ASSERT_EQ(snapshots.size(), 3u);  // the newest durable one, and two that came with the last flush
  const auto check = [&] {
    for (int i = 35; i < 40; ++i) EXPECT_EQ(Append(from_producer(7, 0, i)).base_offset, Offset(i));
  };
  Kill();
  FlipByte(snapshots[2], 20);
  Open();
  check();
  Kill();
  EXPECT_FALSE(fs_->exists(snapshots[2]));
  Cut(snapshots[1], 5);
  Cut(snapshots[0], 5);
  Open();
  check();
}

TEST_F(LogTest, TheProducersSilentForLongestAreForgottenFirst) {
  options_.config.producers_max = 8;
  Open();
  Append(from_producer(100, 0, 5));
  for (int i = 0; i < 8; ++i) Append(from_producer(i, 0, 5));
  EXPECT_TRUE(Append(from_producer(100, 0, 5)).duplicate);  // an eighth more is tolerated
  Append(from_producer(8, 0, 5));
  EXPECT_FALSE(Append(from_producer(100, 0, 5)).duplicate);
  EXPECT_TRUE(Append(from_producer(8, 0, 5)).duplicate);
}

}  // namespace
}  // namespace tributary
