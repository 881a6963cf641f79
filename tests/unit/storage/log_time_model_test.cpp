// Lookups by time against a linear search through all that is served: times in any order, the producers' and the
// broker's, whose clock jumps; with the front moved, and with records compacted away.

#include <algorithm>
#include <map>

#include "cluster/storage/log_cleaner.h"
#include "common/record/record_reader.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

class DirectCleanerHost final : public CleanerHost {
 public:
  explicit DirectCleanerHost(Log& log) : log_(log) {}
  Result<> with_log(const std::function<Result<>(Log&)>& step) override { return step(log_); }
  bool go_on(std::size_t) override { return true; }

 private:
  Log& log_;
};

class LogTimeModelTest : public LogTest {
 protected:
  explicit LogTimeModelTest(std::uint64_t seed = random_u64_from_os()) : seed_(seed), random_(seed) {
    options_.config.segment_bytes = 2'000;
    options_.config.index_interval_bytes = 250;
  }

  void AppendSome() {
    const auto count = static_cast<std::int32_t>(1 + random_.below(5));
    BatchBuilder builder;
    std::vector<std::int64_t> times;
    for (std::int32_t i = 0; i < count; ++i) {
      const auto key = fmt::format("key-{}", random_.below(12));
      const std::string value(random_.below(80), 'v');
      // All of one time now and then, some without one, some from far away.
      auto time = static_cast<std::int64_t>(random_.below(3) == 0 ? 5'000 : 1'000 + random_.below(9'000));
      if (random_.below(15) == 0) time = kNoTimestamp;
      if (random_.below(60) == 0) time = 4'000'000'000'000;
      times.push_back(time);
      const bool tombstone = random_.below(6) == 0;
      builder.append(time, as_bytes(key), tombstone ? std::nullopt : std::optional(as_bytes(value)));
    }
    BatchOptions options;
    options.compression = static_cast<Compression>(random_.below(5));
    const auto info = log_->append(builder.finish(options).value(), LeaderEpoch(0));
    ASSERT_TRUE(info) << info.error().message;
    for (std::int32_t i = 0; i < count; ++i)
      times_[info->base_offset + i] =
          info->log_append_time_ms == kNoTimestamp ? times[static_cast<std::size_t>(i)] : info->log_append_time_ms;
  }

  /// All that a client can read, with the times that were sent or given.
  std::vector<TimestampOffset> Served() {
    std::vector<TimestampOffset> all;
    for (auto from = log_->log_start_offset(); from < log_->log_end_offset();) {
      const auto slice = log_->read(from, 1u << 20, log_->log_end_offset(), true);
      EXPECT_TRUE(slice) << slice.error().message;
      if (!slice || slice->length == 0) break;
      Bytes bytes(slice->length);
      EXPECT_EQ(slice->file->read_at(slice->position, bytes).value(), bytes.size());
      BatchIterator batches(bytes);
      while (const auto batch = batches.next().value()) {
        auto reader = RecordReader::open(batch->bytes, 1u << 20).value();
        RecordView record;
        while (reader.next(record).value()) {
          EXPECT_EQ(record.timestamp_ms, times_.at(record.offset)) << "at " << record.offset.value();
          if (record.offset >= log_->log_start_offset()) all.push_back({record.timestamp_ms, record.offset});
        }
      }
      from = slice->next_offset;
    }
    return all;
  }

  static std::string Text(const std::optional<TimestampOffset>& found) {
    return found ? fmt::format("{}@{}", found->timestamp_ms, found->offset) : "none";
  }

  void Check() {
    const auto records = Served();
    const auto end = log_->log_end_offset();
    for (int i = 0; i < 40; ++i) {
      auto sought = static_cast<std::int64_t>(random_.below(11'000));
      if (!records.empty() && random_.below(2) == 0)
        sought = std::max<std::int64_t>(0, records[random_.below(records.size())].timestamp_ms + static_cast<std::int64_t>(random_.below(3)) - 1);
      const auto start = log_->log_start_offset();
      const auto below = random_.below(2) == 0 ? end : start + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(end - start) + 1));
      const auto first = std::ranges::find_if(
          records, [&](const auto& record) { return record.timestamp_ms >= sought && record.offset < below; });
      const auto found = log_->offset_for_time(sought, below);
      ASSERT_TRUE(found) << found.error().message;
      ASSERT_EQ(Text(*found), Text(first == records.end() ? std::nullopt : std::optional(*first)))
          << "from time " << sought << " below " << below.value();
    }
    std::optional<TimestampOffset> largest;
    for (const auto& record : records)
      if (record.timestamp_ms != kNoTimestamp && (!largest || record.timestamp_ms > largest->timestamp_ms)) largest = record;
    const auto found = log_->offset_of_max_timestamp(end);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(Text(*found), Text(largest));
  }

  void Step() {
    switch (random_.below(12)) {
      case 0: {
        const auto stable = static_cast<std::uint64_t>(log_->stable_offset() - log_->log_start_offset());
        log_->raise_log_start(log_->log_start_offset() + static_cast<std::int64_t>(random_.below(stable + 1) / 6));
        options_.log_start_offset = log_->log_start_offset();
        log_->prepare_removal();
        return;
      }
      case 1: {
        for (int i = 0; log_->wants_flush() && i < 5; ++i) Flush();
        for (const auto& path : log_->take_removable_files().paths)
          if (fs_->exists(path)) {
            ASSERT_TRUE(fs_->remove(path));
          }
        return;
      }
      case 2:
      case 3: {
        auto plan = log_->begin_cleaning({.dirty_ratio_min = 0}, clock_.wall_now_ms());
        for (int i = 0; !plan && log_->wants_flush() && i < 5; ++i) {
          Flush();
          plan = log_->begin_cleaning({.dirty_ratio_min = 0}, clock_.wall_now_ms());
        }
        if (!plan) return;
        DirectCleanerHost host(*log_);
        const auto cleaned = clean_log(*fs_, clock_, *plan, {.delete_retention_ms = 3'000}, host);
        ASSERT_TRUE(cleaned) << cleaned.error().message;
        return;
      }
      case 4: Flush(); return;
      case 5: ASSERT_TRUE(log_->start_new_segment()); return;
      case 6:
        random_.below(2) == 0 ? clock_.advance(std::chrono::seconds(random_.below(5)))
                              : clock_.jump_wall_to(static_cast<WallMs>(1'000 + random_.below(20'000)));
        return;
      case 7: {
        auto config = options_.config;
        config.timestamp_type = random_.below(2) == 0 ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
        options_.config = config;
        log_->set_config(config);
        return;
      }
      case 8:
        if (random_.below(3) == 0) Flush(), Kill(), Open();
        else if (random_.below(2) == 0) CloseCleanly(), Open();
        return;
      default: AppendSome();
    }
  }

  const std::uint64_t seed_;
  SeededRandom random_;
  std::map<Offset, std::int64_t> times_;
};

TEST_F(LogTimeModelTest, AgreesWithALinearSearch) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (int life = 0; life < 12; ++life) {
    fs_ = std::make_unique<sim::SimulatedFileSystem>();
    ASSERT_TRUE(fs_->create_directories(kFolder));
    options_ = LogOpenOptions{.folder = kFolder, .config = options_.config};
    times_.clear();
    Open();
    for (int step = 0; step < 250; ++step) {
      ASSERT_NO_FATAL_FAILURE(Step());
      if (step % 5 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(Check()) << "life " << life << " step " << step;
    }
  }
}

}  // namespace
}  // namespace tributary
