#pragma once
// A log with keys, and its cleaning on the test's thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/storage/log_cleaner.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {

class SameThreadHost final : public CleanerHost {
 public:
  explicit SameThreadHost(Log& log) : log_(log) {}
  Result<> with_log(const std::function<Result<>(Log&)>& step) override {
    if (gone) return fail(Errc::kUnavailable, "gone");
    return step(log_);
  }
  bool go_on(std::size_t bytes) override {
    spent += bytes;
    return spent <= spent_max;
  }
  std::size_t spent = 0, spent_max = SIZE_MAX;
  bool gone = false;

 private:
  Log& log_;
};

class LogCleanerTest : public LogTest {
 protected:
  LogCleanerTest() { options_.config.segment_bytes = 1'000; }

  /// One batch of records with these keys; values say where they are. "-key" is a tombstone.
  void AppendKeys(const std::vector<std::string>& keys, BatchOptions options = {}, std::int64_t timestamp_ms = 1'000) {
    BatchBuilder builder;
    auto offset = log_->log_end_offset().value();
    for (const auto& key : keys) {
      const auto value = fmt::format("{}", offset++);
      if (key.starts_with('-')) builder.append(timestamp_ms, as_bytes(std::string_view(key).substr(1)), std::nullopt);
      else builder.append(timestamp_ms, as_bytes(key), as_bytes(value));
    }
    ASSERT_TRUE(log_->append(builder.finish(options).value(), LeaderEpoch(0)));
  }
  void CloseSegment() {
    ASSERT_TRUE(log_->start_new_segment());
    Flush();
  }
  std::optional<CleaningPlan> Plan(const CleaningLimits& limits = {.dirty_ratio_min = 0}) {
    // A plan ends where no durable snapshot reaches yet: one that never is has that done first.
    EXPECT_FALSE(log_->begin_cleaning({.dirty_ratio_min = 2}, clock_.wall_now_ms()));
    for (int i = 0; log_->wants_flush() && i < 5; ++i) Flush();
    return log_->begin_cleaning(limits, clock_.wall_now_ms());
  }
  Result<CleaningReport> TryClean() {
    const auto plan = Plan();
    if (!plan) return fail(Errc::kNotFound, "nothing to clean");
    SameThreadHost host(*log_);
    return clean_log(*fs_, clock_, *plan, cleaner_, host);
  }
  CleaningReport Clean() {
    auto report = TryClean();
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(CleaningReport{});
  }
  /// "offset:key" of every record, "-" before a tombstone's key.
  std::vector<std::string> Records() {
    std::vector<std::string> all;
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
        while (reader.next(record).value())
          all.push_back(fmt::format("{}:{}{}", record.offset, record.value ? "" : "-", as_string_view(*record.key)));
      }
      from = slice->next_offset;
    }
    return all;
  }
  using Strings = std::vector<std::string>;

  CleanerOptions cleaner_{.delete_retention_ms = 1'000};
};

}  // namespace tributary
