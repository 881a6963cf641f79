#include "cluster/server/partition.h"

#include "cluster/server/error_mapping.h"
#include "cluster/server/server_metrics.h"
#include "cluster/server/shard.h"
#include "common/base/check.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

// How exactly REQUEST_TIMED_OUT keeps to its time.
constexpr auto kDeadlineCheckInterval = std::chrono::milliseconds(250);

}  // namespace

Partition::Partition(TopicPartition name, Shard& shard, TopicSettings settings, PartitionServices& services,
                     Result<std::unique_ptr<Log>> log)
    : name_(std::move(name)), shard_(shard), services_(services), wants_compaction_(settings.compact), settings_(std::move(settings)),
      append_trouble_(std::chrono::minutes(1), services.clock),
      read_trouble_(std::chrono::minutes(1), services.clock) {
  if (log) {
    log_ = *std::move(log);
    return;
  }
  closed_ = ErrorCode::kKafkaStorageError;
  closed_reason_ = log.error().message;
  go_offline(log.error());
}

Partition::~Partition() = default;

void Partition::append(ByteView records, bool wait_for_all, Duration timeout,
                       const std::shared_ptr<AppendObserver>& observer, std::uint32_t slot) {
  if (!log_) return observer->on_appended(slot, {.error = closed_, .message = closed_reason_});
  if (wait_for_all && settings_.insync_replicas_min > kReplicasInSync)
    return observer->on_appended(slot, {.error = ErrorCode::kNotEnoughReplicas,
                                        .message = fmt::format("{} replica is in sync, min.insync.replicas asks for {}",
                                                               kReplicasInSync, settings_.insync_replicas_min)});
  RefusedRecords refused;
  const auto info = log_->append(records, kOnlyLeaderEpoch, &refused);
  if (!info) return observer->on_appended(slot, failed_append(info.error(), std::move(refused)));
  after_append(records, *info);

  AppendOutcome outcome{.base_offset = info->base_offset, .log_start_offset = log_->log_start_offset(),
                        .log_append_time_ms = info->log_append_time_ms};
  const bool wait = wait_for_all && settings_.flush_always() && info->last_offset >= log_->stable_offset();
  if (!wait) return observer->on_appended(slot, std::move(outcome));
  pending_acks_.push_back(
      {info->last_offset, services_.clock.mono_now() + timeout, std::move(outcome), observer, slot});
  watch_deadlines();
}

void Partition::after_append(ByteView records, const AppendInfo& info) {
  if (info.duplicate) {
    services_.metrics.duplicate_appends.inc();
  } else {
    services_.metrics.appended_batches.inc();
    services_.metrics.appended_bytes.inc(records.size());
    if (!settings_.flush_always()) wake_readers();
  }
  if (flush_is_due()) {
    if (!flush_queued_ && !flush_under_way_) {
      flush_queued_ = true;
      shard_.flush_soon(shared_from_this());
    }
  } else {
    flush_later();
  }
}

bool Partition::flush_is_due() const {
  return log_->log_end_offset() - log_->stable_offset() >= settings_.flush_messages || log_->wants_flush() ||
         !pending_acks_.empty();  // who came before flush.messages was raised
}

void Partition::flush_later() {
  if (flush_timer_ || log_->log_end_offset() == log_->stable_offset()) return;
  flush_timer_ = shard_.after(settings_.flush_interval, [this] {
    flush_timer_.reset();
    flush_now();
  });
}

AppendOutcome Partition::failed_append(const Error& error, RefusedRecords refused) {
  if (error.code == Errc::kIo || error.code == Errc::kNoSpace) {
    // Producers try again and again while a disk is full.
    if (const auto turn = append_trouble_.turn())
      log_error("partition", "append failed", {{"partition", fmt::to_string(name_)}, {"error", error.message},
                                               {"failed_since_last_said", turn.suppressed}});
  }
  return {.error = append_error(error), .log_start_offset = log_->log_start_offset(), .message = error.message,
          .refused = std::move(refused.named)};
}

bool Partition::is_stale(LeaderEpoch epoch, ErrorCode& error) const {
  if (!log_) {
    error = closed_;
  } else if (epoch != kNoLeaderEpoch && epoch != kOnlyLeaderEpoch) {
    error = epoch < kOnlyLeaderEpoch ? ErrorCode::kFencedLeaderEpoch : ErrorCode::kUnknownLeaderEpoch;
  }
  return error != ErrorCode::kNone;
}

ReadOutcome Partition::read(Offset from, std::uint32_t bytes_max, LeaderEpoch epoch) {
  ReadOutcome outcome;
  if (is_stale(epoch, outcome.error)) return outcome;
  outcome.high_watermark = high_watermark();
  outcome.log_start_offset = log_->log_start_offset();
  // In the log, but not served yet (a producer with acks=1 may know the offset): empty, as Kafka's log answers.
  if (from > outcome.high_watermark && from <= log_->log_end_offset()) return outcome;
  auto slice = log_->read(from, bytes_max, outcome.high_watermark, true);
  if (slice) {
    outcome.slice = *std::move(slice);
    return outcome;
  }
  outcome.error = read_error(slice.error());
  if (outcome.error != ErrorCode::kOffsetOutOfRange) say_read_trouble("read failed", slice.error());
  return outcome;
}

OffsetOutcome Partition::offset_for(std::int64_t timestamp_ms, LeaderEpoch epoch) {
  OffsetOutcome outcome;
  if (is_stale(epoch, outcome.error)) return outcome;
  Result<std::optional<TimestampOffset>> found = std::nullopt;
  switch (timestamp_ms) {
    case ListOffsetsRequest::kLatest: outcome.found.offset = high_watermark(); return outcome;
    case ListOffsetsRequest::kEarliest: outcome.found.offset = log_->log_start_offset(); return outcome;
    case ListOffsetsRequest::kMaxTimestamp: found = log_->offset_of_max_timestamp(high_watermark()); break;
    default:
      if (timestamp_ms < 0) {
        outcome.error = ErrorCode::kInvalidRequest;
        return outcome;
      }
      found = log_->offset_for_time(timestamp_ms, high_watermark());
  }
  if (!found) {
    outcome.error = read_error(found.error());
    say_read_trouble("search by time failed", found.error());
  } else if (*found) {
    outcome.found = **found;
  }
  return outcome;
}

EpochEndOutcome Partition::epoch_end(LeaderEpoch asked, LeaderEpoch current) const {
  EpochEndOutcome outcome;
  if (is_stale(current, outcome.error)) return outcome;
  // As Kafka's LeaderEpochFileCache.endOffsetFor: the present epoch ends where the log does, a later one is not
  // known, and one before the first ended where that began.
  if (asked > kOnlyLeaderEpoch || asked == kNoLeaderEpoch) return outcome;
  outcome.epoch = asked;
  outcome.end_offset = asked == kOnlyLeaderEpoch ? log_->log_end_offset() : log_->log_start_offset();
  return outcome;
}

/// Clients try again and again.
void Partition::say_read_trouble(const char* what, const Error& error) {
  if (const auto turn = read_trouble_.turn())
    log_error("partition", what, {{"partition", fmt::to_string(name_)}, {"error", error.message},
                                  {"failed_since_last_said", turn.suppressed}});
}

Offset Partition::high_watermark() const {
  CHECK(log_ != nullptr, "{} is closed", name_);
  return settings_.flush_always() ? std::max(log_->stable_offset(), served_before_sync_) : log_->log_end_offset();
}

void Partition::change_settings(const TopicSettings& settings) {
  wants_compaction_.store(settings.compact, std::memory_order_release);
  if (!log_) {
    settings_ = settings;
    return;
  }
  const auto before = high_watermark();
  served_before_sync_ = before;
  settings_ = settings;
  log_->set_config(settings.log);
  flush_timer_.reset();
  if (flush_is_due()) flush_now();
  else flush_later();
  if (high_watermark() != before) wake_readers();
}

void Partition::wait_readable(const std::shared_ptr<ReadWaiter>& waiter, Offset seen) {
  if (!log_ || high_watermark() != seen) return waiter->on_readable();
  waiters_[waiter.get()] = waiter;
}

void Partition::stop_waiting(const ReadWaiter* waiter) { waiters_.erase(waiter); }

void Partition::wake_readers() {
  if (waiters_.empty()) return;
  auto waiters = std::move(waiters_);
  waiters_.clear();
  for (const auto& [key, waiter] : waiters) waiter->on_readable();
}

void Partition::flush_now() {
  flush_queued_ = false;
  if (!log_ || flush_under_way_) return;
  auto ticket = log_->begin_flush();
  if (!ticket) return;
  flush_under_way_ = true;
  services_.flusher.submit(*std::move(ticket),
                           [self = shared_from_this()](const FlushTicket& done, const Result<>& synced) {
                             self->shard_.post([self, done, synced] { self->on_flushed(done, synced); });
                           });
}

void Partition::on_flushed(const FlushTicket& ticket, const Result<>& synced) {
  flush_under_way_ = false;
  if (!log_) {
    if (!synced) failed_after_close_ = synced.error();
    return;
  }
  const auto before = high_watermark();
  log_->complete_flush(ticket, synced);
  if (const auto& why = log_->offline()) {
    go_offline(*why);
    fail_acks(ErrorCode::kKafkaStorageError, why->message);
    fail_deletes(ErrorCode::kKafkaStorageError);
    return;
  }
  if (flush_is_due()) flush_now();
  else flush_later();  // what came during the sync, when a timer may have run out in vain
  complete_acks();
  if (log_ && high_watermark() != before) wake_readers();
  continue_at_front();
}

void Partition::complete_acks() {
  if (pending_acks_.empty()) return;
  // Out first: an observer may append again.
  std::deque<PendingAck> acks;
  acks.swap(pending_acks_);
  const auto stable = log_->stable_offset();
  for (auto& ack : acks) {
    if (ack.last_offset < stable)
      ack.observer->on_appended(ack.slot, std::move(ack.outcome));
    else
      pending_acks_.push_back(std::move(ack));
  }
}

void Partition::fail_acks(ErrorCode error, const std::string& message) {
  std::deque<PendingAck> acks;
  acks.swap(pending_acks_);
  for (const auto& ack : acks) ack.observer->on_appended(ack.slot, {.error = error, .message = message});
}

void Partition::watch_deadlines() {
  if (deadline_timer_) return;
  deadline_timer_ = shard_.after(kDeadlineCheckInterval, [this] {
    deadline_timer_.reset();
    expire_acks();
    expire_deletes();
    if (!pending_acks_.empty() || !pending_deletes_.empty()) watch_deadlines();
  });
}

void Partition::expire_acks() {
  if (pending_acks_.empty()) return;
  const auto now = services_.clock.mono_now();
  std::deque<PendingAck> acks;
  acks.swap(pending_acks_);
  for (auto& ack : acks) {
    if (ack.deadline <= now)
      ack.observer->on_appended(ack.slot, {.error = ErrorCode::kRequestTimedOut,
                                           .message = "the disk did not confirm the write in time"});
    else
      pending_acks_.push_back(std::move(ack));
  }
}

void Partition::go_offline(const Error& error) {
  if (offline_) return;
  offline_ = true;
  services_.on_offline(name_, error);
}

std::unique_ptr<Log> Partition::close(ErrorCode error) {
  gone_.store(true, std::memory_order_release);
  flush_timer_.reset();
  deadline_timer_.reset();
  auto log = std::move(log_);
  closed_ = error;
  closed_reason_ = "the partition is closed";
  fail_acks(closed_, closed_reason_);
  fail_deletes(closed_);
  wake_readers();
  return log;
}

std::optional<std::uint64_t> Partition::size_bytes() const {
  if (!log_) return std::nullopt;
  return log_->size_bytes();
}

std::optional<Offset> Partition::durable_offset() const {
  if (!log_) return std::nullopt;
  return log_->stable_offset();
}

}  // namespace tributary
