#include "cluster/storage/log.h"

#include <algorithm>
#include <array>
#include <limits>

#include "cluster/storage/batch_preparation.h"
#include "cluster/storage/folder_names.h"
#include "cluster/storage/log_recovery.h"
#include "cluster/storage/producer_snapshot.h"
#include "common/base/check.h"

namespace tributary {

constexpr std::size_t kSnapshotsKept = 2;  // the newest one may be torn by a crash

/// What an append is going to do, all checks passed.
struct Log::Plan {
  std::vector<PreparedBatch> fresh;  // without the duplicates
  std::uint64_t bytes = 0;
  std::int64_t max_timestamp_ms = kNoTimestamp;
  AppendInfo info;
};

Log::Log(FileSystem& fs, const Clock& clock, const LogOpenOptions& options)
    : fs_(fs), clock_(clock), folder_(options.folder), config_(options.config) {}

Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open(FileSystem& fs, const Clock& clock,
                                       const LogOpenOptions& options) {
  if (options.config.segment_bytes > std::numeric_limits<std::int32_t>::max())
    return fail(Errc::kInvalidArgument, fmt::format("segment.bytes is {}, more than 2^31 - 1",
                                                    options.config.segment_bytes));
  std::unique_ptr<Log> log(new Log(fs, clock, options));
  ASSIGN_OR_RETURN(auto recovered, recover_log(fs, options, log->config_));
  log->segments_ = std::move(recovered.segments);
  log->producers_ = std::move(recovered.producers);
  log->epochs_ = std::move(recovered.epochs);
  log->snapshots_ = std::move(recovered.snapshots);
  log->durable_snapshot_ = recovered.durable_snapshot;
  log->log_start_offset_ = recovered.log_start_offset;
  log->log_end_offset_ = log->stable_offset_ = recovered.log_end_offset;
  log->first_dirty_ = recovered.compaction.first_dirty;
  log->gaps_below_ = recovered.compaction.gaps_below;
  log->recovery_ = std::move(recovered.report);
  return log;
}

Result<> Log::check_writable() const {
  if (offline_) return fail(Errc::kUnavailable, offline_->message);
  if (closed_) return fail(Errc::kUnavailable, fmt::format("the log {} is closed", folder_));
  return {};
}

// ---- Appending -----------------------------------------------------------------------------------

namespace {

/// What a producer must not take for a verdict on its batch: damage to the log is kIo here.
Result<> of_the_disk(Result<> result) {
  if (!result && result.error().code != Errc::kNoSpace) result.error().code = Errc::kIo;
  return result;
}

}  // namespace

Result<AppendInfo> Log::append(ByteView records, LeaderEpoch epoch, RefusedRecords* refused) {
  RETURN_IF_ERROR(check_writable());
  ASSIGN_OR_RETURN(const auto plan, plan_append(records, epoch, refused));
  if (plan.fresh.empty()) return plan.info;
  // From here on an error says nothing of the batches.
  RETURN_IF_ERROR(of_the_disk(epochs_->assign(epoch, log_end_offset_)));
  RETURN_IF_ERROR(of_the_disk(make_room(plan)));
  RETURN_IF_ERROR(of_the_disk(segments_->active().append(plan.fresh)));
  for (const auto& batch : plan.fresh) producers_->apply(batch.header);
  log_end_offset_ = segments_->active().end_offset();
  return plan.info;
}

namespace {

/// The verdict on one batch as the error or offsets that the producer gets.
Result<SequenceVerdict> judge(const ProducerEntry* known, const BatchHeader& batch, Offset stable_offset) {
  ASSIGN_OR_RETURN(const auto verdict, judge_sequence(known, batch));
  if (verdict.kind != SequenceVerdict::Kind::kStale) return verdict;
  // "Duplicate" is an acknowledgement, so it must not come before the records are durable.
  if (verdict.next_offset > stable_offset)
    return fail(Errc::kUnavailable, "the batch was appended but is not durable yet; send it again");
  return fail(Errc::kDuplicateSequence,
              fmt::format("producer {}: the records from sequence {} on were appended long ago",
                          batch.producer_id, batch.base_sequence));
}

}  // namespace

Result<Log::Plan> Log::plan_append(ByteView records, LeaderEpoch epoch, RefusedRecords* refused) const {
  if (epoch < epochs_->latest())
    return fail(Errc::kFenced, fmt::format("leader epoch {} is older than {}", epoch, epochs_->latest()));
  Plan plan;
  const bool stamps = config_.timestamp_type == TimestampType::kLogAppendTime;
  const auto now_ms = clock_.wall_now_ms();
  auto next_offset = log_end_offset_;
  std::optional<Offset> first_offset;
  // What the producers will be like after the batches before; only needed when there are several.
  std::vector<std::pair<ProducerId, ProducerEntry>> draft;
  BatchIterator batches(records);
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, batches.next());
    if (!batch) break;
    ASSIGN_OR_RETURN(auto header, validate_batch(batch->bytes, config_.limits, refused));
    if (header.transactional()) return fail(Errc::kUnsupported, "transactions are not supported");
    if (std::numeric_limits<std::int64_t>::max() - next_offset.value() <= header.last_offset_delta)
      return fail(Errc::kOutOfRange, fmt::format("the log {} has no offsets left", folder_));
    // Segments and their indexes count from their first offset in 32 bits.
    if (next_offset + header.last_offset_delta - log_end_offset_ > std::numeric_limits<std::int32_t>::max())
      return fail(Errc::kTooLarge, "more than 2^31 records in one append");

    SequenceVerdict verdict;
    const ProducerEntry* known = nullptr;
    if (header.idempotent()) {
      known = producers_->find(header.producer_id);
      for (const auto& [id, entry] : draft)
        if (id == header.producer_id) known = &entry;
      ASSIGN_OR_RETURN(verdict, judge(known, header, stable_offset_));
    }
    if (verdict.kind == SequenceVerdict::Kind::kDuplicate) {
      if (!first_offset) first_offset = verdict.base_offset;
      plan.info.last_offset = std::max(plan.info.last_offset, verdict.next_offset - 1);
      if (stamps) plan.info.log_append_time_ms = verdict.timestamp_ms;
      continue;
    }
    RETURN_IF_ERROR(check_timestamps(batch->bytes, config_, now_ms, refused).map_error(as_made));
    header.base_offset = next_offset;
    header.partition_leader_epoch = epoch;
    ASSIGN_OR_RETURN(const auto prepared, prepare_batch(header, batch->bytes, config_, now_ms).map_error(as_made));
    header = prepared.header;
    if (stamps) plan.info.log_append_time_ms = now_ms;
    if (header.idempotent() && batches.position() < records.size())
      draft.emplace_back(header.producer_id, ProducerEntry(entry_after(known, header)));
    if (!first_offset) first_offset = next_offset;
    plan.info.last_offset = header.last_offset();  // above those of all duplicates
    next_offset = header.next_offset();
    plan.bytes += header.total_bytes();
    plan.max_timestamp_ms = std::max(plan.max_timestamp_ms, header.max_timestamp_ms);
    plan.fresh.push_back(prepared);
  }
  if (!first_offset) return fail(Errc::kInvalidArgument, "there is no batch to append");
  if (plan.bytes > config_.segment_bytes)
    return fail(Errc::kTooLarge, fmt::format("{} bytes of batches, more than segment.bytes = {}",
                                             plan.bytes, config_.segment_bytes));
  plan.info.base_offset = *first_offset;
  plan.info.duplicate = plan.fresh.empty();
  return plan;
}

Result<> Log::make_room(const Plan& plan) {
  ASSIGN_OR_RETURN(const bool room, segments_->active().has_room(
                                        plan.bytes, plan.fresh.back().header.last_offset(),
                                        plan.fresh.size(), plan.max_timestamp_ms, clock_.wall_now_ms()));
  return room ? Result<>{} : roll();
}

/// If it fails, the active segment is still the old one.
Result<> Log::roll() {
  auto& old = segments_->active();
  ASSIGN_OR_RETURN(auto files, old.finish_and_open());
  ASSIGN_OR_RETURN(auto segment, Segment::create(fs_, folder_, log_end_offset_, config_));
  mark_folder_dirty();
  dirty_files_.insert(dirty_files_.end(), files.begin(), files.end());
  pending_snapshots_.push_back({log_end_offset_, encode_producer_snapshot(*producers_)});
  if (pending_snapshots_.size() > kSnapshotsKept) pending_snapshots_.erase(pending_snapshots_.begin());
  old.release_file();
  segments_->push_back(std::move(segment));
  return {};
}

// ---- Reading -------------------------------------------------------------------------------------

Result<LogSlice> Log::read(Offset from, std::uint32_t bytes_max, Offset below, bool at_least_one_batch) {
  below = std::min(below, log_end_offset_);
  if (from < log_start_offset_ || from > below)
    return fail(Errc::kOutOfRange, fmt::format("offset {} is not in [{}, {}] of {}", from,
                                               log_start_offset_, below, folder_));
  LogSlice slice;
  slice.first_offset = slice.next_offset = from;
  if (from == below) return slice;

  auto& segment = segments_->use(segments_->number_of(from));
  ASSIGN_OR_RETURN(const auto first, segment.find(from));
  ASSIGN_OR_RETURN(auto end, segment.end_of_run(first, bytes_max, below));
  if (end.position == first.position) {
    if (!at_least_one_batch || first.header.last_offset() >= below) return slice;
    end = {first.end(), first.header.next_offset()};
  }
  ASSIGN_OR_RETURN(slice.file, segment.file());
  slice.position = first.position;
  slice.length = static_cast<std::uint32_t>(end.position - first.position);
  slice.first_offset = first.header.base_offset;
  slice.next_offset = end.next_offset;
  return slice;
}

Result<std::optional<TimestampOffset>> Log::offset_for_time(std::int64_t timestamp_ms, Offset below) {
  for (auto number = segments_->number_of(log_start_offset_); number < segments_->size(); ++number) {
    if (segments_->base_offset(number) >= below) break;
    ASSIGN_OR_RETURN(const auto found, segments_->use(number).find_time(timestamp_ms, log_start_offset_, below));
    if (found) return found;
  }
  return std::nullopt;
}

Result<std::optional<TimestampOffset>> Log::offset_of_max_timestamp(Offset below) {
  const auto front = segments_->number_of(log_start_offset_);
  auto whole_from = log_start_offset_;  // batches from here on count by their headers
  std::optional<TimestampOffset> in_cut_batch;
  if (log_start_offset_ > segments_->base_offset(front) && log_start_offset_ < below) {
    auto& segment = segments_->use(front);
    ASSIGN_OR_RETURN(const auto batch, segment.find(log_start_offset_));
    if (batch.header.base_offset < log_start_offset_ && batch.header.next_offset() <= below) {
      whole_from = batch.header.next_offset();
      ASSIGN_OR_RETURN(in_cut_batch, segment.largest_record(batch, log_start_offset_));
    }
  }
  std::optional<TimestampOffset> best;
  for (auto number = front; number < segments_->size(); ++number) {
    ASSIGN_OR_RETURN(const auto largest, segments_->use(number).largest_timestamp(whole_from, below));
    if (largest && (!best || largest->timestamp_ms > best->timestamp_ms)) best = largest;
  }
  const auto before_it = best ? best->timestamp_ms : kNoTimestamp + 1;
  if (in_cut_batch && in_cut_batch->timestamp_ms >= before_it) return in_cut_batch;
  if (!best) return std::nullopt;
  auto& segment = segments_->use(segments_->number_of(best->offset));
  ASSIGN_OR_RETURN(const auto batch, segment.find(best->offset));
  return segment.largest_record(batch, whole_from);
}

void Log::set_config(const LogConfig& config) {
  CHECK(config.segment_bytes <= std::numeric_limits<std::int32_t>::max(), "segment.bytes {}", config.segment_bytes);
  const auto producers_max = config_.producers_max;
  config_ = config;
  config_.producers_max = producers_max;
}

LeaderEpoch Log::leader_epoch() const { return epochs_->latest(); }

std::uint64_t Log::size_bytes() const { return segments_->known_bytes(); }

std::size_t Log::segment_count() const { return segments_->size(); }

// ---- Flushing ------------------------------------------------------------------------------------

std::optional<FlushTicket> Log::begin_flush() {
  if (offline_ || (stable_offset_ == log_end_offset_ && !wants_flush())) return std::nullopt;
  auto active = segments_->active().file();
  if (!active) {  // it is open since its first append, or since recovery
    go_offline(active.error());
    return std::nullopt;
  }
  FlushTicket ticket;
  ticket.id = next_ticket_id_++;
  ticket.stable_offset = log_end_offset_;
  ticket.files = dirty_files_;
  ticket.files.push_back(*std::move(active));
  if (folder_dirty_since_ticket_ != 0) ticket.folder = folder_;
  return ticket;
}

void Log::complete_flush(const FlushTicket& ticket, const Result<>& synced) {
  if (!synced) go_offline(synced.error());
  if (offline_) return;
  CHECK(ticket.stable_offset <= log_end_offset_, "stable {} <= end {}", ticket.stable_offset,
        log_end_offset_);
  stable_offset_ = std::max(stable_offset_, ticket.stable_offset);
  std::erase_if(dirty_files_, [&](const auto& file) {
    return std::find(ticket.files.begin(), ticket.files.end(), file) != ticket.files.end();
  });
  if (!ticket.folder.empty() && ticket.id >= folder_dirty_since_ticket_) folder_dirty_since_ticket_ = 0;
  note_durable_snapshots(ticket.id);
  write_pending_snapshots();
}

void Log::note_durable_snapshots(std::uint64_t ticket) {
  for (const auto& snapshot : unsynced_snapshots_)
    if (snapshot.ticket <= ticket) durable_snapshot_ = std::max(durable_snapshot_, snapshot.offset);
  std::erase_if(unsynced_snapshots_, [&](const auto& snapshot) { return snapshot.ticket <= ticket; });
}

void Log::go_offline(const Error& error) {
  if (!offline_)
    offline_ = Error{error.code, fmt::format("the log {} is offline: {}", folder_, error.message)};
}

/// A snapshot that cannot be written is left out: an older one and the log give the same.
void Log::write_pending_snapshots() {
  const auto stable_end =
      std::find_if(pending_snapshots_.begin(), pending_snapshots_.end(),
                   [this](const PendingSnapshot& pending) { return pending.offset > stable_offset_; });
  for (auto pending = pending_snapshots_.begin(); pending != stable_end; ++pending) {
    auto file = write_snapshot(pending->offset, pending->bytes);
    if (file) dirty_files_.push_back(*std::move(file));
  }
  pending_snapshots_.erase(pending_snapshots_.begin(), stable_end);
  // Not before a newer one is durable: the batches that would have to take its place may be removed.
  while (snapshots_.size() > kSnapshotsKept && snapshots_.front() < durable_snapshot_) {
    (void)fs_.remove(folder_ + "/" + segment_file_name(snapshots_.front(), kSnapshotSuffix));
    snapshots_.erase(snapshots_.begin());
    mark_folder_dirty();
  }
}

Result<std::shared_ptr<File>> Log::write_snapshot(Offset offset, ByteView bytes) {
  const auto path = folder_ + "/" + segment_file_name(offset, kSnapshotSuffix);
  mark_folder_dirty();
  const bool is_there = std::ranges::find(snapshots_, offset) != snapshots_.end();
  // The same bytes over the same bytes: whatever a crash leaves of that, the snapshot is whole.
  ASSIGN_OR_RETURN(auto file, fs_.open(path, is_there ? OpenMode::kCreate : OpenMode::kTruncate));
  const std::array parts{bytes};
  if (auto written = file->write_at(0, parts); !written) {
    if (!is_there) (void)fs_.remove(path);
    return tl::unexpected<Error>(written.error());
  }
  ASSIGN_OR_RETURN(const auto size, file->size());
  if (size > bytes.size()) RETURN_IF_ERROR(file->truncate(bytes.size()));
  if (snapshots_.empty() || snapshots_.back() < offset) snapshots_.push_back(offset);
  unsynced_snapshots_.push_back({offset, next_ticket_id_});
  return file;
}

Result<> Log::flush() {
  RETURN_IF_ERROR(check_writable());
  const auto ticket = begin_flush();
  if (ticket) complete_flush(*ticket, sync_ticket(fs_, *ticket));
  return check_writable();
}

Result<> Log::close_cleanly() {
  RETURN_IF_ERROR(flush());
  ASSIGN_OR_RETURN(auto files, segments_->active().finish_and_open());
  files.insert(files.end(), dirty_files_.begin(), dirty_files_.end());
  ASSIGN_OR_RETURN(auto snapshot, write_snapshot(log_end_offset_, encode_producer_snapshot(*producers_)));
  files.push_back(std::move(snapshot));
  FlushTicket ticket{next_ticket_id_++, log_end_offset_, std::move(files), folder_};
  complete_flush(ticket, sync_ticket(fs_, ticket));
  RETURN_IF_ERROR(check_writable());
  closed_ = true;
  return {};
}

}  // namespace tributary
