// Log's front: what retention and DeleteRecords take away.

#include <algorithm>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/producer_snapshot.h"
#include "cluster/storage/segment_list.h"
#include "common/base/check.h"

namespace tributary {

Result<Offset> Log::retention_point(const RetentionLimits& limits, WallMs now_ms) {
  auto bytes_left = size_bytes();
  auto point = log_start_offset_;
  for (auto number = std::size_t{0}; number < segments_->size(); ++number) {
    auto& segment = segments_->visit(number);
    const bool active = number + 1 == segments_->size();
    const auto end = active ? log_end_offset_ : segments_->base_offset(number + 1);
    if (end > stable_offset_ || (active && segment.size_bytes() == 0)) break;
    bytes_left -= segment.size_bytes();
    const bool too_large = limits.bytes >= 0 && bytes_left >= static_cast<std::uint64_t>(limits.bytes);
    bool due = too_large || end <= log_start_offset_;
    if (!due && limits.ms >= 0) {
      const auto time_ms = segment.retention_time(now_ms);
      segments_->leave(number);
      if (!time_ms) return tl::unexpected<Error>(time_ms.error());
      due = now_ms - *time_ms > limits.ms;
    }
    if (!due) break;
    point = std::max(point, end);
  }
  return point;
}

Result<> Log::start_new_segment() {
  RETURN_IF_ERROR(check_writable());
  return segments_->active().size_bytes() == 0 ? Result<>{} : roll();
}

void Log::raise_log_start(Offset offset) {
  CHECK(offset <= stable_offset_, "log start {} <= stable {}", offset, stable_offset_);
  log_start_offset_ = std::max(log_start_offset_, offset);
}

bool Log::has_removable_segments() const {
  return segments_->size() > 1 && segments_->base_offset(1) <= log_start_offset_;
}

void Log::prepare_removal() {
  const auto needed = segments_->base_offset(segments_->number_of(log_start_offset_));
  removal_waits_ = has_removable_segments() && needed > durable_snapshot_;
  if (removal_waits_ && !offline_) want_snapshot(needed);
}

/// Takes one that knows all batches below `needed`, unless it is there or under way.
void Log::want_snapshot(Offset needed) {
  const auto outlives = [&](const auto& snapshot) { return snapshot.offset >= needed; };
  if (std::ranges::any_of(pending_snapshots_, outlives) || std::ranges::any_of(unsynced_snapshots_, outlives)) return;
  pending_snapshots_.push_back({log_end_offset_, encode_producer_snapshot(*producers_)});
}

Log::RemovableFiles Log::take_removable_files() {
  RemovableFiles files;
  if (cleaning_) return files;
  const auto below = std::min(log_start_offset_, durable_snapshot_);
  auto& count = files.segments;
  for (; count + 1 < segments_->size() && segments_->base_offset(count + 1) <= below; ++count)
    for (const auto suffix : {kLogSuffix, kOffsetIndexSuffix, kTimeIndexSuffix})
      files.paths.push_back(folder_ + "/" + segment_file_name(segments_->base_offset(count), suffix));
  if (count > 0) segments_->drop_front(count);
  removal_waits_ = removal_waits_ && has_removable_segments();
  return files;
}

}  // namespace tributary
