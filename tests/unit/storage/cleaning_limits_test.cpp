// When a log is cleaned: by its dirty part, by the age of its records, by the room on its volume.

#include "tests/unit/storage/cleaner_fixture.h"

namespace tributary {
namespace {

TEST_F(LogCleanerTest, NothingIsCleanedBelowTheRatioNorWithinTheLag) {
  Open();
  AppendKeys({"a", "b", "c", "d"}, {}, clock_.wall_now_ms());
  CloseSegment();
  EXPECT_FALSE(Plan({.dirty_ratio_min = 0, .lag_ms_min = 1}));
  Clean();
  AppendKeys({"a"}, {}, clock_.wall_now_ms());
  CloseSegment();
  EXPECT_FALSE(Plan({.dirty_ratio_min = 0.5}));
  EXPECT_TRUE(Plan({.dirty_ratio_min = 0.3}));
}

TEST_F(LogCleanerTest, WhatIsOlderThanTheLongestLagIsCleanedWhateverTheRatio) {
  const CleaningLimits limits{.dirty_ratio_min = 1, .lag_ms_max = 1'000};
  Open();
  AppendKeys({"a", "b", "c"}, {}, clock_.wall_now_ms());
  CloseSegment();
  Clean();
  AppendKeys({"a"}, {}, clock_.wall_now_ms());
  CloseSegment();
  clock_.advance(std::chrono::milliseconds(1'000));
  AppendKeys({"b"}, {}, clock_.wall_now_ms());
  CloseSegment();
  EXPECT_FALSE(Plan(limits));
  clock_.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(Plan({.dirty_ratio_min = 1}));
  const auto plan = Plan(limits);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->segments.back().end_offset, Offset(5));
  // Not before its time: the two limits stand beside each other.
  log_->end_cleaning(std::nullopt, true);
  EXPECT_FALSE(Plan({.dirty_ratio_min = 1, .lag_ms_min = 1'002, .lag_ms_max = 1'002}));
}

TEST_F(LogCleanerTest, TheActiveSegmentIsClosedWhenItIsOlderThanTheLongestLag) {
  const CleaningLimits limits{.dirty_ratio_min = 1, .lag_ms_max = 1'000};
  Open();
  AppendKeys({"a"}, {}, clock_.wall_now_ms());
  clock_.advance(std::chrono::milliseconds(1'001));
  AppendKeys({"a"}, {}, clock_.wall_now_ms());
  Flush();
  Kill();
  Open();
  EXPECT_FALSE(log_->begin_cleaning({.dirty_ratio_min = 1, .lag_ms_max = 1'001}, clock_.wall_now_ms()));
  EXPECT_EQ(log_->segment_count(), 1u);
  EXPECT_FALSE(log_->begin_cleaning(limits, clock_.wall_now_ms()));  // not durable yet
  EXPECT_EQ(log_->segment_count(), 2u);
  EXPECT_TRUE(Plan(limits));
  EXPECT_EQ(log_->segment_count(), 2u);  // an empty one stays
}

TEST_F(LogCleanerTest, ARecordWithoutATimeIsAsOldAsItsAppend) {
  Open();
  AppendKeys({"a"}, {}, -1);
  AppendKeys({"a"}, {}, clock_.wall_now_ms() + 1'000'000);
  const CleaningLimits limits{.dirty_ratio_min = 1, .lag_ms_max = 1'000};
  clock_.advance(std::chrono::milliseconds(1'000));
  EXPECT_FALSE(log_->begin_cleaning(limits, clock_.wall_now_ms()));
  EXPECT_EQ(log_->segment_count(), 1u);
  clock_.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(log_->begin_cleaning(limits, clock_.wall_now_ms()));
  EXPECT_EQ(log_->segment_count(), 2u);
}

TEST_F(LogCleanerTest, TheTimesOfManySegmentsAreReadAFewAtATime) {
  Open();
  for (int i = 0; i < 40; ++i) {
    AppendKeys({"a"});
    CloseSegment();
  }
  CloseCleanly();
  for (const auto& limits : {CleaningLimits{.dirty_ratio_min = 0, .lag_ms_min = 1}, CleaningLimits{.dirty_ratio_min = 1, .lag_ms_max = 1}}) {
    Open();
    EXPECT_FALSE(Plan({.dirty_ratio_min = 2}));  // a durable snapshot is there now
    std::optional<CleaningPlan> plan;
    int looks = 0;
    do {
      plan = log_->begin_cleaning(limits, clock_.wall_now_ms());
      EXPECT_NE(plan.has_value(), log_->looks_further());
      ++looks;
    } while (!plan && looks < 10);
    EXPECT_EQ(looks, 3);
    EXPECT_EQ(plan->segments.size(), 40u);
    log_->end_cleaning(std::nullopt, true);
    EXPECT_TRUE(log_->begin_cleaning(limits, clock_.wall_now_ms()));  // they are known now
    log_->end_cleaning(std::nullopt, true);
    CloseCleanly();
  }
}

TEST_F(LogCleanerTest, WithoutRoomForWhatStaysNothingIsWrittenUntilThereIs) {
  Open();
  for (int i = 0; i < 6; ++i) AppendKeys({fmt::format("key-{}", i), "same"});
  CloseSegment();
  Clean();
  AppendKeys({"another"});
  CloseSegment();
  const auto before = Records();
  int writes = 0;
  fs_->set_hook([&](sim::SimulatedFileSystem::Operation, const std::string& path) -> Result<> {
    writes += path.find(".cleaned") != std::string::npos;
    return {};
  });
  (void)Plan({.dirty_ratio_min = 2});  // its snapshot is durable now
  fs_->set_capacity(fs_->used_bytes() + 300);
  const auto postponed = Clean();
  ASSERT_TRUE(postponed.shortage);
  EXPECT_EQ(postponed.shortage->usable_bytes, 300u);
  EXPECT_GT(postponed.shortage->needed_bytes, 300u);
  EXPECT_EQ(writes, 0);
  EXPECT_EQ(Records(), before);
  fs_->set_capacity(fs_->used_bytes() + postponed.shortage->needed_bytes);
  const auto cleaned = Clean();
  EXPECT_FALSE(cleaned.shortage);
  EXPECT_EQ(cleaned.first_dirty, Offset(13));
  EXPECT_GT(writes, 0);
}

TEST_F(LogCleanerTest, ADiskThatIsFullOfWhatIsToGoIsCleaned) {
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    SCOPED_TRACE(name_of(codec));
    Open();
    for (int i = 0; i < 10; ++i) AppendKeys({"a", "b", "a", "b", "a", "b"}, {.compression = codec});
    CloseSegment();
    (void)Plan({.dirty_ratio_min = 2});
    fs_->set_capacity(fs_->used_bytes() + 600);  // less than the segment has
    const auto report = Clean();
    EXPECT_FALSE(report.shortage);
    EXPECT_GT(report.bytes_before, 600u);
    EXPECT_EQ(report.records_kept, 2u);
    fs_->set_capacity(UINT64_MAX);
    Kill();
    ASSERT_TRUE(remove_recursively(*fs_, kFolder));
    ASSERT_TRUE(fs_->create_directories(kFolder));
  }
}

}  // namespace
}  // namespace tributary
