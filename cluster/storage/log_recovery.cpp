#include "cluster/storage/log_recovery.h"

#include <algorithm>
#include <array>
#include <set>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/producer_snapshot.h"

namespace tributary {
namespace {

constexpr std::size_t kSnapshotBytesMax = 256u << 20;

class LogRecovery {
 public:
  LogRecovery(FileSystem& fs, const LogOpenOptions& options, const LogConfig& config)
      : fs_(fs), folder_(options.folder), config_(config), durable_(options.recovery_point) {
    log_.segments = std::make_unique<SegmentList>();
    log_.producers = std::make_unique<ProducerStates>(config.producers_max);
    log_.epochs = std::make_unique<LeaderEpochs>(fs, folder_);
    log_.log_start_offset = options.log_start_offset;
  }

  Result<RecoveredLog> run(bool clean);

 private:
  [[nodiscard]] Result<> take_inventory();
  [[nodiscard]] Result<> load_compaction();
  [[nodiscard]] Result<> finish_swaps();
  [[nodiscard]] Result<> load_snapshot();
  [[nodiscard]] Result<> finish_removals();
  [[nodiscard]] Result<> make_snapshot_durable();
  [[nodiscard]] Result<> open_segments();
  [[nodiscard]] Result<bool> trust_clean_stop();
  [[nodiscard]] Result<> scan_from_durable_point();
  [[nodiscard]] Result<bool> scan_segment(std::size_t number);
  [[nodiscard]] Result<> remove_segments(std::size_t from, const std::string& reason);
  [[nodiscard]] Result<> replay(std::size_t end);
  [[nodiscard]] Result<> check_end();
  [[nodiscard]] Result<> make_durable();
  static void sync_indexes(Segment& segment);
  void learn(const BatchHeader& batch);
  void keep_reason(const std::string& reason) {
    if (log_.report.cut_reason.empty()) log_.report.cut_reason = reason;
  }
  [[nodiscard]] std::string path_of(Offset base_offset, std::string_view suffix) const {
    return folder_ + "/" + segment_file_name(base_offset, suffix);
  }
  [[nodiscard]] std::string was_durable() const {
    return fmt::format("records below offset {} were acknowledged", acknowledged());
  }
  /// A log starts at most where it was durable to, but perhaps within a batch.
  [[nodiscard]] Offset acknowledged() const { return std::max(durable_, log_.log_start_offset); }

  FileSystem& fs_;
  const std::string folder_;
  const LogConfig& config_;
  Offset durable_;  // exclusive: what lies below must be there; the end of a batch
  RecoveredLog log_;

  std::set<Offset> log_files_;
  std::vector<SwapFileName> swaps_;  // by rising offset, apart
  std::set<Offset> snapshot_files_;
  Offset producers_from_{0};  // batches from here on are not in `producers` yet
  Offset replay_from_{0};     // the first batch that producers or epochs lack
  bool epochs_complete_ = false;
  std::optional<BatchHeader> spans_durable_point_;
  std::size_t first_dirty_ = 0;  // number of the first segment to be synced
};

Result<RecoveredLog> LogRecovery::run(bool clean) {
  RETURN_IF_ERROR(take_inventory());
  RETURN_IF_ERROR(finish_swaps());
  RETURN_IF_ERROR(load_compaction());
  RETURN_IF_ERROR(load_snapshot());
  RETURN_IF_ERROR(finish_removals());
  epochs_complete_ = log_.epochs->load();
  RETURN_IF_ERROR(open_segments());
  replay_from_ = epochs_complete_ ? producers_from_ : Offset(0);
  first_dirty_ = log_.segments->size();

  bool trusted = false;
  if (clean) {
    ASSIGN_OR_RETURN(trusted, trust_clean_stop());
  }
  if (trusted) {
    RETURN_IF_ERROR(replay(log_.segments->size()));
  } else {
    RETURN_IF_ERROR(scan_from_durable_point());
  }
  RETURN_IF_ERROR(check_end());
  log_.epochs->truncate_from(log_.log_end_offset);
  RETURN_IF_ERROR(make_durable());
  return std::move(log_);
}

/// Notes the log and snapshot files; removes what an interrupted write or removal left.
Result<> LogRecovery::take_inventory() {
  ASSIGN_OR_RETURN(const auto names, fs_.list(folder_));
  std::vector<std::pair<Offset, std::string>> indexes;
  for (const auto& name : names) {
    const auto parsed = parse_segment_file_name(name);
    if (!parsed) {
      if (const auto swap = parse_swap_file_name(name)) swaps_.push_back(*swap);
      else if (name.ends_with(kTemporarySuffix) || name.ends_with(kCleanedSuffix)) RETURN_IF_ERROR(fs_.remove(folder_ + "/" + name));
      continue;  // not a log's: left alone
    }
    if (parsed->suffix == kLogSuffix) {
      log_files_.insert(parsed->base_offset);
    } else if (parsed->suffix == kSnapshotSuffix) {
      snapshot_files_.insert(parsed->base_offset);
    } else {
      indexes.emplace_back(parsed->base_offset, name);
    }
  }
  for (const auto& [base_offset, name] : indexes)
    if (!log_files_.contains(base_offset)) RETURN_IF_ERROR(fs_.remove(folder_ + "/" + name));
  return {};
}

/// One that cannot be read: then gaps are no sign of damage but in the last segment, and all is cleaned anew.
Result<> LogRecovery::load_compaction() {
  const auto point = load_compaction_point(fs_, folder_);
  if (!point && point.error().code != Errc::kCorrupt) return tl::unexpected<Error>(point.error());
  if (!point && !log_files_.empty()) log_.compaction.gaps_below = *log_files_.rbegin();
  if (!point) return {};
  if (*point) log_.compaction = **point;
  return {};
}

/// What was cleaned and took its swap name is complete. Each step can be done again, whatever a crash left of it.
Result<> LogRecovery::finish_swaps() {
  if (swaps_.empty()) return {};
  // The name may be in memory only, after a process's death: it must outlive what it replaces.
  RETURN_IF_ERROR(fs_.sync_directory(folder_));
  for (const auto& swap : swaps_) {
    for (auto it = log_files_.lower_bound(swap.base_offset); it != log_files_.end() && *it < swap.end_offset;
         it = log_files_.erase(it))
      for (const auto suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kLogSuffix})
        if (fs_.exists(path_of(*it, suffix))) RETURN_IF_ERROR(fs_.remove(path_of(*it, suffix)));
    RETURN_IF_ERROR(fs_.sync_directory(folder_));
    RETURN_IF_ERROR(fs_.rename(folder_ + "/" + swap_file_name(swap.base_offset, swap.end_offset),
                               path_of(swap.base_offset, kLogSuffix)));
    log_files_.insert(swap.base_offset);
  }
  return fs_.sync_directory(folder_);
}

/// Takes the newest snapshot that is whole; removes damaged ones (a crash leaves those).
Result<> LogRecovery::load_snapshot() {
  for (auto it = snapshot_files_.rbegin(); it != snapshot_files_.rend(); ++it) {
    const auto path = path_of(*it, kSnapshotSuffix);
    const auto bytes = read_file(fs_, path, kSnapshotBytesMax);
    if (!bytes && bytes.error().code == Errc::kIo) return tl::unexpected<Error>(bytes.error());
    if (bytes && decode_producer_snapshot(*bytes, *it, *log_.producers)) {
      producers_from_ = *it;
      durable_ = std::max(durable_, *it);
      log_.snapshots.assign(snapshot_files_.begin(), it.base());
      return {};
    }
    RETURN_IF_ERROR(fs_.remove(path));
  }
  return {};
}

/// Any of the segments below the log start offset may be gone already, those between two others, too; none
/// that no durable snapshot outlived. So the others below the snapshot go as well.
Result<> LogRecovery::finish_removals() {
  const auto below = std::min(log_.log_start_offset, producers_from_);
  const auto is_removed = [&] { return log_files_.size() > 1 && *std::next(log_files_.begin()) <= below; };
  if (!is_removed()) return {};
  RETURN_IF_ERROR(make_snapshot_durable());
  for (; is_removed(); log_files_.erase(log_files_.begin()))
    for (const auto suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kLogSuffix})
      (void)fs_.remove(path_of(*log_files_.begin(), suffix));  // what stays is tried again by the next open
  return {};
}

/// It may be in the page cache only. Written again over itself, and not only synced: see make_durable.
Result<> LogRecovery::make_snapshot_durable() {
  const auto path = path_of(producers_from_, kSnapshotSuffix);
  ASSIGN_OR_RETURN(const auto bytes, read_file(fs_, path, kSnapshotBytesMax));
  ASSIGN_OR_RETURN(const auto file, fs_.open(path, OpenMode::kReadWrite));
  const std::array parts{ByteView(bytes)};
  RETURN_IF_ERROR(file->write_at(0, parts));
  RETURN_IF_ERROR(file->sync_data());
  RETURN_IF_ERROR(fs_.sync_directory(folder_));
  log_.durable_snapshot = producers_from_;
  return {};
}

Result<> LogRecovery::open_segments() {
  for (const auto base_offset : log_files_) {
    log_.segments->push_back(std::make_unique<Segment>(fs_, folder_, base_offset, config_));
    log_.segments->active().set_gaps_below(log_.compaction.gaps_below);
    RETURN_IF_ERROR(log_.segments->active().learn_size());
  }
  if (!log_.segments->empty()) {
    log_.log_start_offset = std::max(log_.log_start_offset, log_.segments->first_offset());
    return {};
  }
  if (durable_ > log_.log_start_offset)
    return fail(Errc::kCorrupt, fmt::format("{} has no segment files, but {}", folder_, was_durable()));
  ASSIGN_OR_RETURN(auto segment, Segment::create(fs_, folder_, log_.log_start_offset, config_));
  log_.segments->push_back(std::move(segment));
  return {};
}

/// After a clean stop only the headers behind the last index entry are read.
Result<bool> LogRecovery::trust_clean_stop() {
  ASSIGN_OR_RETURN(const bool loaded, log_.segments->active().load_end());
  if (!loaded || log_.segments->active().end_offset() != durable_) return false;
  log_.log_end_offset = durable_;
  return true;
}

void LogRecovery::learn(const BatchHeader& batch) {
  // The durable point is a batch's end: a batch across it was not written so.
  if (batch.base_offset < durable_ && batch.next_offset() > durable_) spans_durable_point_ = batch;
  if (batch.base_offset >= producers_from_) log_.producers->apply(batch);
  log_.epochs->note(batch.partition_leader_epoch, batch.base_offset);
}

/// Learns from the segments before number `end`, from replay_from_ on, by their headers.
Result<> LogRecovery::replay(std::size_t end) {
  for (auto number = log_.segments->number_of(replay_from_); number < end; ++number)
    RETURN_IF_ERROR(log_.segments->use(number).visit_from(
        replay_from_, [this](const BatchHeader& batch) { learn(batch); }));
  return {};
}

Result<> LogRecovery::scan_from_durable_point() {
  log_.report.scanned = true;
  auto start = log_.segments->number_of(durable_);
  // A failed append is cut off the segment before it is rolled; that cut may not be durable yet.
  if (start > 0 && log_.segments->base_offset(start) == durable_) --start;
  RETURN_IF_ERROR(replay(start));
  first_dirty_ = start;
  log_.log_end_offset = log_.segments->base_offset(start);
  for (auto number = start; number < log_.segments->size(); ++number) {
    ASSIGN_OR_RETURN(const bool whole, scan_segment(number));
    if (!whole) break;
  }
  return {};
}

/// False if the log ends here: what follows is removed.
Result<bool> LogRecovery::scan_segment(std::size_t number) {
  auto& segment = log_.segments->use(number);
  const auto expected = log_.log_end_offset;
  if (segment.base_offset() != expected) {
    const auto reason = fmt::format("{}: the log before it ends with offset {}", segment.path(), expected);
    if (expected < acknowledged())
      return fail(Errc::kCorrupt, fmt::format("{}, but {}", reason, was_durable()));
    RETURN_IF_ERROR(remove_segments(number, reason));
    return false;
  }
  ASSIGN_OR_RETURN(const auto result, segment.scan(ScanCheck::kCrc, [this](const BatchHeader& batch) {
    learn(batch);
  }));
  ++log_.report.indexes_rebuilt;
  log_.report.bytes_scanned += segment.size_bytes();
  log_.log_end_offset = segment.end_offset();
  const bool last = number + 1 == log_.segments->size();
  if (!last) (void)segment.finish();  // indexes that cannot be written stay in memory
  if (spans_durable_point_)
    return fail(Errc::kCorrupt, fmt::format("{}: the batch at offset {} reaches to {}; {}", segment.path(),
                                            spans_durable_point_->base_offset,
                                            spans_durable_point_->next_offset(), was_durable()));
  if (!result.bad) return true;

  const auto reason = fmt::format("{} at position {} (offset {}): {}", segment.path(),
                                  segment.size_bytes(), segment.end_offset(), result.bad->message);
  // The next segment begins where this one's records end: what lies between was never acknowledged.
  const bool complete = !last && log_.segments->base_offset(number + 1) == segment.end_offset();
  if (segment.end_offset() < acknowledged() && !complete)
    return fail(Errc::kCorrupt, fmt::format("{}; {}", reason, was_durable()));
  log_.report.bytes_cut += result.file_bytes - segment.size_bytes();
  keep_reason(reason);
  RETURN_IF_ERROR(segment.cut_tail());
  if (complete) return true;
  RETURN_IF_ERROR(remove_segments(number + 1, reason));
  return false;
}

Result<> LogRecovery::remove_segments(std::size_t from, const std::string& reason) {
  keep_reason(reason);
  for (auto number = log_.segments->size(); number-- > from;) {
    const auto base_offset = log_.segments->base_offset(number);
    ASSIGN_OR_RETURN(const auto file, log_.segments->use(number).file());
    ASSIGN_OR_RETURN(const auto bytes, file->size());
    log_.report.bytes_cut += bytes;
    ++log_.report.segments_removed;
    for (const auto suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kLogSuffix})
      if (fs_.exists(path_of(base_offset, suffix))) RETURN_IF_ERROR(fs_.remove(path_of(base_offset, suffix)));
  }
  log_.segments->truncate(from);
  return {};
}

Result<> LogRecovery::check_end() {
  const auto end = log_.log_end_offset;
  if (end < acknowledged())
    return fail(Errc::kCorrupt, fmt::format("{} ends with offset {}, but {}",
                                            log_.segments->active().path(), end, was_durable()));
  return {};
}

/// What survived a process's death in the page cache is not durable yet: without this it could be
/// served, and then lost by a power cut. It is written again, not only synced: after a failed fdatasync
/// the kernel takes the pages for clean, and another fdatasync would succeed without writing them.
Result<> LogRecovery::make_durable() {
  for (auto number = first_dirty_; number < log_.segments->size(); ++number) {
    auto& segment = log_.segments->use(number);
    RETURN_IF_ERROR(segment.rewrite_and_sync(durable_));
    if (number + 1 < log_.segments->size()) sync_indexes(segment);
  }
  if (first_dirty_ < log_.segments->size()) RETURN_IF_ERROR(fs_.sync_directory(folder_));
  return log_.epochs->save();
}

/// A time index that lost its newest entries would be believed. On a full disk they stay in memory.
void LogRecovery::sync_indexes(Segment& segment) {
  const auto files = segment.finish_and_open();
  if (!files) return;
  for (const auto& file : *files) (void)file->sync_data();
}

}  // namespace

Result<RecoveredLog> recover_log(FileSystem& fs, const LogOpenOptions& options, const LogConfig& config) {
  auto recovered = LogRecovery(fs, options, config).run(options.clean);
  if (!recovered) return in_context("cannot open the log", std::move(recovered).error());
  return recovered;
}

}  // namespace tributary
