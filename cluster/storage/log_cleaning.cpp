// Log's part in its cleaning; log_cleaner.cpp does the work, on another thread.

#include <algorithm>
#include <limits>
#include <utility>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/log_cleaner.h"
#include "cluster/storage/producer_states.h"
#include "cluster/storage/segment_list.h"
#include "common/base/check.h"

namespace tributary {
namespace {

/// A segment's times are read once, with its indexes at worst: all at once would hold up the log's thread.
constexpr std::size_t kSegmentsReadAtOnce = 16;

bool knows_times(const Segment& segment, const CleaningLimits& limits) {
  return (limits.lag_ms_min == 0 || segment.knows_retention_time()) &&
         (limits.lag_ms_max == std::numeric_limits<std::int64_t>::max() || segment.knows_first_time());
}

}  // namespace

bool Log::is_overdue(std::size_t number, const CleaningLimits& limits, WallMs now_ms) {
  if (limits.lag_ms_max == std::numeric_limits<std::int64_t>::max()) return false;
  auto& segment = segments_->visit(number);
  if (segment.size_bytes() == 0) return false;
  const auto time_ms = segment.first_time(now_ms);
  segments_->leave(number);
  return time_ms && now_ms - *time_ms > limits.lag_ms_max;
}

std::optional<CleaningPlan> Log::begin_cleaning(const CleaningLimits& limits, WallMs now_ms) {
  cleaning_waits_ = false;
  const auto looked_to = std::exchange(look_from_, std::nullopt).value_or(Offset(0));
  if (cleaning_ || cleaning_given_up_ || offline_ || closed_) return std::nullopt;
  if (is_overdue(segments_->size() - 1, limits, now_ms)) (void)start_new_segment();
  CleaningPlan plan;
  std::uint64_t clean_bytes = 0, dirty_bytes = 0;
  bool waits_for_snapshot = false, overdue = false;
  std::size_t segments_read = 0;
  for (std::size_t number = 0; number + 1 < segments_->size(); ++number) {
    auto& segment = segments_->visit(number);
    const auto end = segments_->base_offset(number + 1);
    if (end > stable_offset_) break;
    if (end <= log_start_offset_) continue;  // about to be removed
    if (end > first_dirty_) {
      const bool is_news = segment.base_offset() >= looked_to && !knows_times(segment, limits);
      if (is_news && ++segments_read > kSegmentsReadAtOnce) {
        look_from_ = segment.base_offset();
        return std::nullopt;
      }
      if (limits.lag_ms_min > 0) {
        const auto time_ms = segment.retention_time(now_ms);
        segments_->leave(number);
        if (!time_ms || now_ms - *time_ms < limits.lag_ms_min) break;
      }
      // After it, the log may not hold all that is known of producers.
      if (end > durable_snapshot_) {
        waits_for_snapshot = true;
        break;
      }
      overdue = is_overdue(number, limits, now_ms) || overdue;
      dirty_bytes += segment.size_bytes();
    } else {
      clean_bytes += segment.size_bytes();
    }
    plan.segments.push_back({segment.base_offset(), end, segment.size_bytes(), segment.path()});
  }
  const auto all = static_cast<double>(clean_bytes + dirty_bytes);
  if (dirty_bytes == 0 || (!overdue && static_cast<double>(dirty_bytes) < limits.dirty_ratio_min * all)) {
    cleaning_waits_ = waits_for_snapshot;
    if (waits_for_snapshot) want_snapshot(segments_->active().base_offset());
    return std::nullopt;
  }
  const auto end = plan.segments.back().end_offset;
  plan.folder = folder_;
  plan.config = config_;
  plan.gaps_before = gaps_below_;
  gaps_below_ = std::max(gaps_below_, end);
  plan.point = {first_dirty_, gaps_below_};
  for (const auto& [id, entry] : producers_->sorted()) plan.newest_batches.push_back(entry->newest().last_offset);
  std::ranges::sort(plan.newest_batches);
  cleaning_ = true;
  return plan;
}

Result<> Log::adopt_cleaned(const CleanedSegments& cleaned) {
  CHECK(cleaning_, "adopt only while cleaning");
  if (closed_) return fail(Errc::kUnavailable, fmt::format("the log {} is closed", folder_));
  auto paths = Segment::paths_of(folder_, cleaned.base_offset, kCleanedSuffix);
  paths.log = folder_ + "/" + swap_file_name(cleaned.base_offset, cleaned.end_offset);
  auto segment = std::make_unique<Segment>(fs_, std::move(paths), cleaned.base_offset, config_);
  segment->set_gaps_below(gaps_below_);
  RETURN_IF_ERROR(segment->learn_size());
  segments_->replace(std::move(segment), cleaned.end_offset);
  return {};
}

Result<> Log::settle_cleaned(const CleanedSegments& cleaned) {
  if (closed_) return fail(Errc::kUnavailable, fmt::format("the log {} is closed", folder_));
  auto paths = Segment::paths_of(folder_, cleaned.base_offset);
  RETURN_IF_ERROR(fs_.rename(folder_ + "/" + swap_file_name(cleaned.base_offset, cleaned.end_offset), paths.log));
  const auto written = Segment::paths_of(folder_, cleaned.base_offset, kCleanedSuffix);
  const bool named = fs_.rename(written.offset_index, paths.offset_index) && fs_.rename(written.time_index, paths.time_index);
  auto& segment = segments_->visit(segments_->number_of(cleaned.base_offset));
  segment.moved_to(std::move(paths));
  // Under the name that it has now the next cleaning would write.
  if (!named) segment.forget_indexes();
  return {};
}

void Log::end_cleaning(std::optional<Offset> first_dirty, bool again) {
  cleaning_ = false;
  if (first_dirty) first_dirty_ = std::max(first_dirty_, *first_dirty);
  if (!again) cleaning_given_up_ = true;
}

}  // namespace tributary
