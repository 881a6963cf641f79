// Lookups by time.

#include <algorithm>

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

class LogTimeTest : public LogTest {
 protected:
  /// "timestamp@offset", or "none".
  std::string At(std::int64_t timestamp_ms) { return At(timestamp_ms, log_->log_end_offset()); }
  std::string At(std::int64_t timestamp_ms, Offset below) {
    return Text(log_->offset_for_time(timestamp_ms, below));
  }
  std::string Max() { return Max(log_->log_end_offset()); }
  std::string Max(Offset below) { return Text(log_->offset_of_max_timestamp(below)); }

 private:
  static std::string Text(const Result<std::optional<TimestampOffset>>& found) {
    if (!found) return found.error().message;
    if (!*found) return "none";
    return fmt::format("{}@{}", (*found)->timestamp_ms, (*found)->offset);
  }
};

TEST_F(LogTimeTest, AnEmptyLogHasNoTimes) {
  Open();
  EXPECT_EQ(At(0), "none");
  EXPECT_EQ(Max(), "none");
}

TEST_F(LogTimeTest, TheFirstRecordAtOrAfterATimeIsFoundWithinItsBatch) {
  Open();
  Append({.count = 5, .timestamp_ms = 100});
  Append({.count = 5, .timestamp_ms = 200});
  EXPECT_EQ(At(0), "100@0");
  EXPECT_EQ(At(103), "103@3");
  EXPECT_EQ(At(105), "200@5");
  EXPECT_EQ(At(204), "204@9");
  EXPECT_EQ(At(205), "none");
}

TEST_F(LogTimeTest, RecordsBeyondTheGivenOffsetAreNotFound) {
  Open();
  Append({.count = 5, .timestamp_ms = 100});
  Append({.count = 5, .timestamp_ms = 200});
  EXPECT_EQ(At(150, Offset(5)), "none");
  EXPECT_EQ(Max(Offset(5)), "104@4");
  EXPECT_EQ(Max(Offset(0)), "none");
}

TEST_F(LogTimeTest, AnIndexThatIsMadeAnewOutlivesAPowerCutWholeOrNotAtAll) {
  options_.config.segment_bytes = 5'000;
  options_.config.index_interval_bytes = 200;
  Open();
  // The end of the first segment does not tell what times are before it.
  for (int i = 0; i < 60; ++i) Append({.value_bytes = 200, .timestamp_ms = i < 10 ? 1'000 + i : -1});
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CloseCleanly();
    ASSERT_TRUE(fs_->remove(Path(0, kTimeIndexSuffix)));
    ASSERT_TRUE(fs_->sync_directory(kFolder));
    Open();
    EXPECT_EQ(At(1'003), "1003@3");
    EXPECT_TRUE(fs_->exists(Path(0, kTimeIndexSuffix)));
    PowerCut(seed);
    Open();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(At(1'000 + i), fmt::format("{}@{}", 1'000 + i, i)) << "seed " << seed;
  }
}

TEST_F(LogTimeTest, TheMaximumIsTheFirstOfEquals) {
  Open();
  Append({.timestamp_ms = 300});
  Append({.timestamp_ms = 500});
  Append({.timestamp_ms = 400});
  Append({.timestamp_ms = 500});
  EXPECT_EQ(Max(), "500@1");
}

TEST_F(LogTimeTest, RecordsWithoutATimestampAreNeverFound) {
  Open();
  Append({.timestamp_ms = -1});
  EXPECT_EQ(At(0), "none");
  EXPECT_EQ(Max(), "none");
}

TEST_F(LogTimeTest, AgreesWithALinearSearchForAnyOrderOfTimes) {
  options_.config.segment_bytes = 4000;
  options_.config.index_interval_bytes = 300;
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  Open();
  std::vector<std::int64_t> times;
  for (int i = 0; i < 150; ++i) {
    const auto time = static_cast<std::int64_t>(1000 + 10 * i + random.below(200));
    const auto count = static_cast<std::int32_t>(1 + random.below(4));
    Append({.count = count, .value_bytes = random.below(100), .timestamp_ms = time});
    for (int k = 0; k < count; ++k) times.push_back(time + k);
  }
  const auto check = [&] {
    for (std::int64_t time = 990; time < 2800; time += 3) {
      const auto found = std::find_if(times.begin(), times.end(), [&](auto t) { return t >= time; });
      ASSERT_EQ(At(time), found == times.end() ? "none" : fmt::format("{}@{}", *found, found - times.begin()));
    }
    for (std::size_t below = 0; below <= times.size(); ++below) {
      // Only at batch boundaries; elsewhere the batch that spans it does not count.
      if (below > 0 && below < times.size() && times[below] == times[below - 1] + 1) continue;
      const auto end = times.begin() + static_cast<std::ptrdiff_t>(below);
      const auto largest = std::max_element(times.begin(), end);
      ASSERT_EQ(Max(Offset(static_cast<std::int64_t>(below))),
                below == 0 ? "none" : fmt::format("{}@{}", *largest, largest - times.begin()));
    }
  };
  ExpectThroughRestarts(check);
}

// Half an index would be believed: the offset index may outlive a power cut without the time index, or with its first entries.
TEST_F(LogTimeTest, IndexesThatWereMadeAnewAreWholeAfterAPowerCut) {
  options_.config.segment_bytes = 4'000;
  options_.config.index_interval_bytes = 300;
  Open();
  std::vector<std::int64_t> times;
  for (int i = 0; i < 100; ++i) times.push_back(1'000 + 10 * (i * 37 % 100));
  for (const auto time : times) Append({.value_bytes = 50, .timestamp_ms = time});
  const auto check = [&] {
    for (const auto time : times) {
      const auto found = std::ranges::find_if(times, [&](auto t) { return t >= time; }) - times.begin();
      ASSERT_EQ(At(time), fmt::format("{}@{}", times[static_cast<std::size_t>(found)], found));
    }
    ASSERT_EQ(Max(), fmt::format("1990@{}", std::ranges::max_element(times) - times.begin()));
  };
  ASSERT_GT(log_->segment_count(), 2u);
  CloseCleanly();
  for (const auto folder : {"/", "/data", kFolder}) ASSERT_TRUE(fs_->sync_directory(folder));
  const auto stopped = fs_->copy();
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    fs_ = stopped->copy();
    for (const auto& name : Names())
      if (name.ends_with("index")) {
        ASSERT_TRUE(fs_->remove(fmt::format("{}/{}", kFolder, name)));
      }
    options_.clean = true;
    Open();
    ASSERT_NO_FATAL_FAILURE(check());
    ASSERT_TRUE(fs_->sync_directory(kFolder));  // as the next new segment does
    for (int again = 0; again < 2; ++again) {
      PowerCut(seed);
      Open();
      ASSERT_NO_FATAL_FAILURE(check()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tributary
