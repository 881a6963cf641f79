#pragma once
// One partition's log on disk: a folder of segments in Kafka's file formats.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/storage/flush_ticket.h"
#include "common/env/clock.h"
#include "common/record/record_batch.h"

namespace tributary {

/// compression.gzip.level, compression.lz4.level, compression.zstd.level: Kafka's numbers (KIP-390).
struct CompressionLevels {
  static constexpr std::int32_t kGzipDefault = -1, kLz4Default = 9, kZstdDefault = 3;
  std::int32_t gzip = kGzipDefault;  // 1 to 9, or -1
  std::int32_t lz4 = kLz4Default;    // 1 to 17; the codec here ends at 12
  std::int32_t zstd = kZstdDefault;  // -131072 to 22

  /// What Compressor takes; nothing: the codec's own default. As in Kafka, lz4's 9 is the fast compressor's only level,
  /// and the others are those of the slow one.
  [[nodiscard]] std::optional<int> of(Compression codec) const {
    switch (codec) {
      case Compression::kGzip: return gzip == kGzipDefault ? std::nullopt : std::optional<int>(gzip);
      case Compression::kLz4: return lz4 == kLz4Default ? std::nullopt : std::optional<int>(lz4);
      case Compression::kZstd: return zstd;
      default: return std::nullopt;
    }
  }
};

/// Kafka's topic configuration, as far as a log needs it.
struct LogConfig {
  std::uint32_t segment_bytes = 1u << 30;       // segment.bytes; at most 2^31 - 1
  std::int64_t segment_ms = 7 * 86'400'000ll;   // segment.ms
  std::uint32_t index_interval_bytes = 4096;    // index.interval.bytes
  std::uint32_t index_bytes_max = 10u << 20;    // segment.index.bytes
  /// Producers remembered per partition, newest first. There is no expiry by time: a gateway that was
  /// offline for weeks is still recognised, as long as fewer others than this have written since.
  std::uint32_t producers_max = 10'000;
  BatchLimits limits;                           // max.message.bytes and what is checked
  TimestampType timestamp_type = TimestampType::kCreateTime;  // message.timestamp.type
  // message.timestamp.before.max.ms and …after.max.ms: how far a record's create time may lie from the append's.
  std::int64_t timestamp_before_ms_max = std::numeric_limits<std::int64_t>::max();
  std::int64_t timestamp_after_ms_max = std::numeric_limits<std::int64_t>::max();
  std::optional<Compression> compression;       // compression.type; nothing: as the producer compressed it
  CompressionLevels levels;                     // for what is compressed anew because of it
};

/// How much of a log is kept; -1: all.
struct RetentionLimits {
  std::int64_t ms = -1;     // retention.ms
  std::int64_t bytes = -1;  // retention.bytes
};

/// When a compacted log is worth cleaning.
struct CleaningLimits {
  double dirty_ratio_min = 0.5;  // min.cleanable.dirty.ratio: of the closed segments' bytes
  std::int64_t lag_ms_min = 0;   // min.compaction.lag.ms: what is younger is left alone
  /// max.compaction.lag.ms (KIP-354): with a dirty segment whose first record is older it is, whatever the ratio.
  std::int64_t lag_ms_max = std::numeric_limits<std::int64_t>::max();
};

struct CleaningPlan;
struct CleanedSegments;

struct AppendInfo {
  Offset base_offset{0};  // of the first batch
  Offset last_offset{0};  // inclusive, of the last batch
  std::int64_t log_append_time_ms = kNoTimestamp;  // -1: the records keep their create time
  bool duplicate = false;  // nothing was written: the offsets are those of the first time
};

/// Whole batches within one segment. The bytes never change, and stay readable while `file` is held,
/// also after the segment was deleted. `length` is 0 when there is nothing to read.
struct LogSlice {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;
  std::uint32_t length = 0;
  Offset first_offset{0};  // of the first batch; above the one asked for where a cleaner has taken that
  Offset next_offset{0};   // exclusive: where to go on reading
};

struct TimestampOffset {
  std::int64_t timestamp_ms = kNoTimestamp;
  Offset offset{0};
};

/// What opening a log had to do; for the operator's eyes and the tests.
struct RecoveryReport {
  bool scanned = false;               // the stop was not clean: batches were checked
  std::uint64_t bytes_scanned = 0;
  std::uint64_t bytes_cut = 0;        // torn tail, incl. whole segments after it
  std::uint32_t segments_removed = 0;
  std::uint32_t indexes_rebuilt = 0;
  std::string cut_reason;             // file, position and failed check; empty if nothing was cut
};

struct LogOpenOptions {
  std::string folder;  // of the partition; must exist
  LogConfig config;
  bool clean = false;              // the last stop was clean: trust the files' ends
  Offset recovery_point{0};        // exclusive: below it everything was durable
  Offset log_start_offset{0};      // from the checkpoint: below it nothing is served again
};

class LeaderEpochs;
class ProducerStates;
class SegmentList;

/// One thread at a time (the partition's shard). Blocks on page-cache writes and on reads, never on a
/// sync, except where said, and where a closed segment's index is missing or damaged: it is made anew from the whole
/// segment, and synced.
///
/// Invariant: log_start_offset <= stable_offset <= log_end_offset; offsets are dense, but for what a cleaner took.
///
/// Goes offline for good when a sync fails: append, begin_flush and close_cleanly then give
/// kUnavailable with the first error; reads of what is stable still work.
class Log {
 public:
  /// Recovers what a crash left and makes it durable (blocks on syncs), so that after open
  /// stable_offset() == log_end_offset(). If it never returns, opening again gives the same.
  ///
  /// Not clean: every batch from the segment of the newest durable point on is checked (header, CRC,
  /// dense offsets); the first bad one and all behind it is cut off, for it was never acknowledged.
  /// Indexes and producer state are rebuilt.
  /// kCorrupt, naming file and position, if a batch below the durable point is damaged or missing:
  /// acknowledged records are never cut off silently. The durable point is the largest one of
  /// `recovery_point`, `log_start_offset` and the offset of the newest valid producer snapshot.
  /// What is left of segments whose removal a crash cut short is removed.
  [[nodiscard]] static Result<std::unique_ptr<Log>> open(FileSystem& fs, const Clock& clock,
                                                         const LogOpenOptions& options);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // as after kill -9, unless closed cleanly

  /// Appends one or more batches, which get the next offsets and `epoch`. Writes to the page cache
  /// only (the first batch of a new epoch also syncs a small file).
  /// ACKNOWLEDGE WHEN stable_offset() > last_offset, ALSO FOR DUPLICATES.
  /// All batches are checked before anything is written, and either all are appended or none:
  /// after an error the log is as before and can go on (ENOSPC too, once there is space). If it never
  /// returns, any prefix of the batches may be in the log. After kNoSpace or kIo, too, if the power goes before the
  /// next flush: what was written and cut off again may come back. So a producer that goes on sends the same
  /// batch again, or raises its epoch, as after an answer that never came.
  ///
  /// Errors: those of validate_batch, and of check_timestamps and prepare_batch (batch_preparation.h; as_made: kCorrupt is
  /// only what may be right when it is sent again); kUnsupported (transactional); kFenced (older producer or leader epoch);
  /// kOutOfOrderSequence; kDuplicateSequence (a batch was appended and is durable, but too long ago to know its offset:
  /// acknowledge it; batches beside it were not appended); kNoSpace, kIo (the disk, or damage on it); kUnavailable (offline).
  /// Of several batches, those that are duplicates are left out and the others appended.
  /// The single records on whose account a batch is refused are added to `refused`, if given.
  [[nodiscard]] Result<AppendInfo> append(ByteView records, LeaderEpoch epoch, RefusedRecords* refused = nullptr);

  /// Batches from the one that holds `from` on: as many as fit in `bytes_max` and lie below `below`
  /// (exclusive; give stable_offset() to consumers) within one segment. With `at_least_one_batch` the
  /// first is given even if it is larger than `bytes_max` (KIP-74). An empty slice at `from == below`.
  /// kOutOfRange for an offset outside [log_start_offset, below]; kCorrupt, naming file and position.
  [[nodiscard]] Result<LogSlice> read(Offset from, std::uint32_t bytes_max, Offset below,
                                      bool at_least_one_batch);

  /// The first record whose timestamp is at least `timestamp_ms`, in [log_start_offset, below).
  [[nodiscard]] Result<std::optional<TimestampOffset>> offset_for_time(std::int64_t timestamp_ms,
                                                                       Offset below);
  /// The record with the largest timestamp in [log_start_offset, below) (KIP-734); the first of equals.
  [[nodiscard]] Result<std::optional<TimestampOffset>> offset_of_max_timestamp(Offset below);

  [[nodiscard]] Offset log_start_offset() const { return log_start_offset_; }
  /// Exclusive: everything below is durable. The high watermark of a single broker.
  [[nodiscard]] Offset stable_offset() const { return stable_offset_; }
  /// Exclusive: the offset of the next record.
  [[nodiscard]] Offset log_end_offset() const { return log_end_offset_; }
  /// Of the newest batch; kNoLeaderEpoch if there was none.
  [[nodiscard]] LeaderEpoch leader_epoch() const;
  [[nodiscard]] std::uint64_t size_bytes() const;
  [[nodiscard]] std::size_t segment_count() const;
  /// Of whom it has batches, or had: newest states.
  [[nodiscard]] const ProducerStates& producers() const { return *producers_; }
  [[nodiscard]] const RecoveryReport& recovery() const { return recovery_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// Why the log is offline; nothing while it is online.
  [[nodiscard]] const std::optional<Error>& offline() const { return offline_; }

  /// A segment was closed since the last flush: files stay open, and a snapshot in memory, until the next.
  /// Or segments wait for a snapshot to be durable: see prepare_removal.
  [[nodiscard]] bool wants_flush() const {
    return !pending_snapshots_.empty() || ((removal_waits_ || cleaning_waits_) && !unsynced_snapshots_.empty());
  }

  /// Nothing if all is stable and no flush is wanted, or the log is offline. Several tickets may be
  /// outstanding; completing a later one covers the earlier ones. A ticket that is never completed only delays stable_offset.
  [[nodiscard]] std::optional<FlushTicket> begin_flush();
  /// `synced` is the flusher's verdict. Moves stable_offset, or takes the log offline.
  void complete_flush(const FlushTicket& ticket, const Result<>& synced);

  /// Goes by `config` from the next append on; `producers_max` stays as it was at open. Segments that are
  /// there already are left as they are.
  void set_config(const LogConfig& config);

  // ---- The front: retention and DeleteRecords ----
  //
  // The order on disk: the new log start offset is noted durably by the caller (LogDirectory); only then
  // raise_log_start; then files go, once a durable producer snapshot knows the producers of their batches.
  // At every moment of it a crash leaves a log that opens.

  /// Up to where the log is more than `limits` ask to keep: whole segments from the front whose newest
  /// record is older than limits.ms at `now_ms`, or without which the log is still limits.bytes large.
  /// Never above stable_offset(); log_end_offset() if the active segment is old, too, and all is stable.
  /// A segment's time is its largest timestamp; where that is in the future or there is none, the
  /// time of its last append, so that a bad clock does not keep it for ever; where that is in the future, too, the time
  /// when that was first seen in this life.
  [[nodiscard]] Result<Offset> retention_point(const RetentionLimits& limits, WallMs now_ms);

  /// Closes the active segment, unless it is empty, so that it can be removed. Like an append (of which
  /// nothing comes), also in its errors.
  [[nodiscard]] Result<> start_new_segment();

  /// What lies below `offset` is not served any more. `offset` is at most stable_offset(), and durably noted:
  /// the next open must be given it. Lower ones than the present one are ignored.
  void raise_log_start(Offset offset);

  /// Some segment lies wholly below the log start offset.
  [[nodiscard]] bool has_removable_segments() const;
  /// Takes a producer snapshot for the files to wait for, unless one is there or under way: wants_flush() until
  /// it is durable. Call it again when it came to nothing (a full disk).
  void prepare_removal();
  struct RemovableFiles {
    std::size_t segments = 0;
    std::vector<std::string> paths;
  };
  /// Forgets the segments that lie wholly below the log start offset, and gives the paths of their files for
  /// the caller to remove, in any order and on any thread, before another log is opened under this folder's name.
  /// Some may not exist. What is not removed in this life is removed by the next open. Slices that were given
  /// out stay readable. Nothing as long as no durable snapshot outlives the segments.
  [[nodiscard]] RemovableFiles take_removable_files();

  // ---- Cleaning (compaction): see log_cleaner.h, which drives this ----

  /// What there is to clean, if it is worth it: closed segments, all durable. Until end_cleaning no segment is removed
  /// (take_removable_files gives nothing). Nothing also as long as no durable snapshot knows their producers: then
  /// wants_flush() until one does, and a later call gives the plan.
  /// Closes the active segment if it is older than limits.lag_ms_max; it is in the plan of a later call, when it is
  /// durable. If that fails, an append or a later call does it.
  [[nodiscard]] std::optional<CleaningPlan> begin_cleaning(const CleaningLimits& limits, WallMs now_ms);
  /// The last begin_cleaning gave nothing because it has read the times of as many segments as it may in one go: call it
  /// again, when the thread has done something else.
  [[nodiscard]] bool looks_further() const { return look_from_.has_value(); }
  /// Reads from the cleaned file from now on, under its swap name, and no more from those that it replaces.
  [[nodiscard]] Result<> adopt_cleaned(const CleanedSegments& cleaned);
  /// Gives the files of an adopted segment their final names. Not durable until the folder is synced. Indexes that do not
  /// get theirs are made anew.
  [[nodiscard]] Result<> settle_cleaned(const CleanedSegments& cleaned);
  /// `first_dirty`: cleaned up to here; nothing if the cleaning came to nothing. `again`: it may be tried again in this
  /// life.
  void end_cleaning(std::optional<Offset> first_dirty, bool again);

  /// Begin, sync on this thread (blocks), complete.
  [[nodiscard]] Result<> flush();

  /// Flushes, writes the indexes and the producer snapshot, syncs them (blocks). The log takes no
  /// appends afterwards (kUnavailable). If it never returns or fails, the next open recovers.
  [[nodiscard]] Result<> close_cleanly();

 private:
  struct Plan;
  struct PendingSnapshot {
    Offset offset{0};
    Bytes bytes;
  };
  struct UnsyncedSnapshot {
    Offset offset{0};
    std::uint64_t ticket = 0;  // the first one that makes it durable
  };

  Log(FileSystem& fs, const Clock& clock, const LogOpenOptions& options);

  [[nodiscard]] Result<> check_writable() const;
  [[nodiscard]] bool is_overdue(std::size_t segment, const CleaningLimits& limits, WallMs now_ms);
  [[nodiscard]] Result<Plan> plan_append(ByteView records, LeaderEpoch epoch, RefusedRecords* refused) const;
  [[nodiscard]] Result<> make_room(const Plan& plan);
  [[nodiscard]] Result<> roll();
  void write_pending_snapshots();
  void note_durable_snapshots(std::uint64_t ticket);
  void want_snapshot(Offset needed);
  [[nodiscard]] Result<std::shared_ptr<File>> write_snapshot(Offset offset, ByteView bytes);
  void mark_folder_dirty() { folder_dirty_since_ticket_ = next_ticket_id_; }
  void go_offline(const Error& error);

  FileSystem& fs_;
  const Clock& clock_;
  const std::string folder_;
  LogConfig config_;  // the segments look at it, too

  Offset log_start_offset_{0};
  Offset stable_offset_{0};
  Offset log_end_offset_{0};
  std::optional<Error> offline_;
  bool closed_ = false;
  RecoveryReport recovery_;

  std::unique_ptr<SegmentList> segments_;
  std::unique_ptr<ProducerStates> producers_;
  std::unique_ptr<LeaderEpochs> epochs_;

  // A snapshot on file says that all below its offset is durable: it is taken when a segment is
  // rolled, and written when that segment is stable.
  std::vector<PendingSnapshot> pending_snapshots_;
  std::vector<Offset> snapshots_;  // on file, rising
  std::vector<UnsyncedSnapshot> unsynced_snapshots_;
  Offset durable_snapshot_{0};     // the newest one that a power cut leaves; 0: none is known
  bool removal_waits_ = false;     // segments are kept for want of a durable snapshot
  bool cleaning_waits_ = false;    // the same of cleaning
  std::optional<Offset> look_from_;  // up to here begin_cleaning has tried to learn the segments' times; nothing: all

  Offset first_dirty_{0};
  Offset gaps_below_{0};
  bool cleaning_ = false;          // under way
  bool cleaning_given_up_ = false;

  // What the next ticket must sync besides the active segment.
  std::vector<std::shared_ptr<File>> dirty_files_;
  std::uint64_t folder_dirty_since_ticket_ = 0;  // 0: clean
  std::uint64_t next_ticket_id_ = 1;
};

}  // namespace tributary
