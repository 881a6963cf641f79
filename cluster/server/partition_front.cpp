// Partition's front: retention, DeleteRecords, compaction. A new log start is made durable by the controller's thread, and
// only then is it the log's: what a client has seen deleted does not come back.

#include "cluster/server/error_mapping.h"
#include "cluster/server/log_trims.h"
#include "cluster/server/partition.h"
#include "cluster/server/server_metrics.h"
#include "cluster/server/shard.h"
#include "cluster/storage/log_cleaner.h"
#include "common/protocol/messages/delete_records.h"

namespace tributary {

void Partition::delete_records(Offset offset, Duration timeout, std::function<void(DeleteOutcome)> done) {
  if (!log_) return done({.error = closed_});
  if (log_->offline()) return done({.error = ErrorCode::kKafkaStorageError});
  if (!settings_.remove_old) return done({.error = ErrorCode::kPolicyViolation});
  if (offset == DeleteRecordsRequest::kToHighWatermark) offset = high_watermark();
  if (offset < Offset(0) || offset > high_watermark()) return done({.error = ErrorCode::kOffsetOutOfRange});
  if (offset <= log_->log_start_offset()) return done({.low_watermark = log_->log_start_offset()});
  pending_deletes_.push_back({offset, services_.clock.mono_now() + timeout, std::move(done)});
  watch_deadlines();
  move_log_start(offset);
}

void Partition::enforce_retention() {
  if (!log_ || log_->offline()) return;
  log_->prepare_removal();  // of what a restart or a full disk has left
  const auto& limits = settings_.retention;
  if (settings_.remove_old && (limits.ms >= 0 || limits.bytes >= 0)) {
    const auto point = log_->retention_point(limits, services_.clock.wall_now_ms());
    if (!point) say_read_trouble("cannot tell what is too old", point.error());
    else if (*point > log_->log_start_offset()) return move_log_start(*point);
  }
  continue_at_front();
}

void Partition::move_log_start(Offset offset) {
  // The active segment can go only when it is closed. If that fails, it is closed later, by an append.
  if (offset == log_->log_end_offset()) (void)log_->start_new_segment();
  wanted_log_start_ = std::max(wanted_log_start_, offset);
  continue_at_front();
}

void Partition::continue_at_front() {
  if (!log_ || log_->offline()) return;
  if (wanted_log_start_ > log_->log_start_offset() && !log_start_under_way_) {
    if (wanted_log_start_ > log_->stable_offset()) return flush_now();  // and then here again
    log_start_under_way_ = true;
    services_.trims->note(shared_from_this(), wanted_log_start_,
                          [self = shared_from_this(), offset = wanted_log_start_](const Result<>& noted) {
                            self->shard_.post([self, offset, noted] { self->on_log_start_noted(offset, noted); });
                          });
  }
  if (auto files = log_->take_removable_files(); files.segments > 0) {
    services_.metrics.removed_segments.inc(files.segments);
    services_.trims->remove_files(shared_from_this(), std::move(files.paths));
  }
  if (log_->wants_flush()) flush_now();
}

void Partition::on_log_start_noted(Offset offset, const Result<>& noted) {
  log_start_under_way_ = false;
  if (!log_) return;
  if (!noted) {
    wanted_log_start_ = log_->log_start_offset();  // given up; retention wants it again at its next look
    say_read_trouble("cannot note the log start", noted.error());
    return fail_deletes(ErrorCode::kKafkaStorageError);
  }
  log_->raise_log_start(offset);
  complete_deletes();
  if (!log_) return;
  log_->prepare_removal();
  continue_at_front();
}

std::optional<CleaningPlan> Partition::begin_cleaning() {
  if (!is_compacted()) return std::nullopt;
  auto plan = log_->begin_cleaning(settings_.cleaning, services_.clock.wall_now_ms());
  if (!plan && log_->wants_flush()) flush_now();
  return plan;
}

Result<> Partition::with_log(const std::function<Result<>(Log&)>& step) {
  if (!log_) return fail(Errc::kUnavailable, fmt::format("{} is closed", name_));
  return step(*log_);
}

void Partition::cleaning_ended() { continue_at_front(); }

void Partition::complete_deletes() {
  std::vector<PendingDelete> deletes;
  deletes.swap(pending_deletes_);
  const auto start = log_->log_start_offset();
  for (auto& wanted : deletes) {
    if (wanted.offset <= start) wanted.done({.low_watermark = start});
    else pending_deletes_.push_back(std::move(wanted));
  }
}

void Partition::fail_deletes(ErrorCode error) {
  std::vector<PendingDelete> deletes;
  deletes.swap(pending_deletes_);
  for (const auto& wanted : deletes) wanted.done({.error = error});
}

void Partition::expire_deletes() {
  const auto now = services_.clock.mono_now();
  std::vector<PendingDelete> deletes;
  deletes.swap(pending_deletes_);
  for (auto& wanted : deletes) {
    if (wanted.deadline <= now) wanted.done({.error = ErrorCode::kRequestTimedOut});
    else pending_deletes_.push_back(std::move(wanted));
  }
}

}  // namespace tributary
