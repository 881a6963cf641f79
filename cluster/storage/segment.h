#pragma once
// One segment of a log: a .log file and its two sparse indexes.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/storage/batch_scanner.h"
#include "cluster/storage/index_file.h"
#include "cluster/storage/log.h"

namespace tributary {

/// A checked batch with its final offset and epoch, as it goes to the file: `head`, then `records`.
struct PreparedBatch {
  BatchHeader header;
  std::array<std::uint8_t, kBatchHeaderSize> head;  // the same, encoded
  ByteView records;                                 // the producer's, or own_records
  std::shared_ptr<const Bytes> own_records;         // null, unless they were compressed anew
};

/// Lifecycle: made for a file that exists (nothing is read yet) or created new; then one of scan,
/// load_end or, lazily, the first lookup learns its end. Only the last segment of a log is appended
/// to. An inactive one keeps nothing open after release_file(). The log's thread only.
///
/// Invariant: the indexes describe batches below size_bytes() only.
class Segment {
 public:
  using Visitor = std::function<void(const BatchHeader&)>;

  /// `config` must outlive the segment.
  Segment(FileSystem& fs, std::string folder, Offset base_offset, const LogConfig& config);

  /// The names of a segment's three files.
  struct Paths {
    std::string log, offset_index, time_index;
  };
  [[nodiscard]] static Paths paths_of(const std::string& folder, Offset base_offset, std::string_view more = {});
  Segment(FileSystem& fs, Paths paths, Offset base_offset, const LogConfig& config);

  /// An empty one; what was there under its names is emptied. Not durable: sync file() and the folder.
  [[nodiscard]] static Result<std::unique_ptr<Segment>> create(FileSystem& fs,
                                                               const std::string& folder,
                                                               Offset base_offset,
                                                               const LogConfig& config);
  [[nodiscard]] static Result<std::unique_ptr<Segment>> create(FileSystem& fs, Paths paths, Offset base_offset,
                                                               const LogConfig& config);

  [[nodiscard]] Offset base_offset() const { return base_offset_; }
  /// Exclusive. Known once the end is, or told by set_end_offset for an inactive segment.
  [[nodiscard]] Offset end_offset() const { return end_offset_; }
  void set_end_offset(Offset end_offset) { end_offset_ = end_offset; }
  /// Before batches below this offset, others may be missing: a cleaner has taken them. The last one of the segment
  /// is always there.
  void set_gaps_below(Offset offset) { gaps_below_ = offset; }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  /// The files have been renamed.
  void moved_to(Paths paths);
  /// They are not under their names: they are looked for, and made anew, when they are needed. Of a closed segment.
  void forget_indexes() { loaded_ = false; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Result<std::shared_ptr<File>> file();
  void release_file() { file_.reset(); }

  // ---- Opening ----

  /// The file's size, before anything is read; keeps nothing open.
  [[nodiscard]] Result<> learn_size();

  struct ScanResult {
    std::uint64_t file_bytes = 0;
    std::optional<Error> bad;  // why the bytes from size_bytes() on are no batch; nothing if all are
  };
  /// Checks all batches from the start, in order and dense, rebuilds the indexes in memory, and shows
  /// every good batch to `visit`. Afterwards size_bytes() and end_offset() are those of the good part.
  /// An error only if the disk refuses.
  [[nodiscard]] Result<ScanResult> scan(ScanCheck check, const Visitor& visit);

  /// Trusts the indexes if they look right, and walks the headers behind their last entry. False if
  /// the file does not end with a whole batch or an index does not fit; then scan() is due.
  [[nodiscard]] Result<bool> load_end();

  /// Shows the headers of all batches that start at or above `from` to `visit`; the end is known.
  [[nodiscard]] Result<> visit_from(Offset from, const Visitor& visit);

  /// Cuts the file to size_bytes(). Not durable until synced.
  [[nodiscard]] Result<> cut_tail();

  /// Writes the batches from `from` on again, as they are, and syncs them.
  [[nodiscard]] Result<> rewrite_and_sync(Offset from);

  // ---- Appending ----

  /// Whether batches up to `last_offset` (inclusive), `bytes` in all, still belong here. By size,
  /// relative offset, index space, and age: of the records, or by `now_ms` if they have no timestamp.
  [[nodiscard]] Result<bool> has_room(std::uint64_t bytes, Offset last_offset, std::size_t batch_count,
                                      std::int64_t timestamp_ms, WallMs now_ms);
  /// Writes all or none. After a failure what was written is cut off, at the latest by the next append
  /// (which fails until that succeeds).
  [[nodiscard]] Result<> append(std::span<const PreparedBatch> batches);
  /// Writes the indexes, complete, for no more appends. Idempotent.
  [[nodiscard]] Result<> finish();
  /// finish, and the three open files, for a sync.
  [[nodiscard]] Result<std::vector<std::shared_ptr<File>>> finish_and_open();

  // ---- Lookups ----

  /// The batch that holds `offset`, base_offset() <= offset < end_offset().
  [[nodiscard]] Result<StoredBatch> find(Offset offset);

  struct End {
    std::uint64_t position = 0;  // exclusive
    Offset next_offset{0};
  };
  /// The end of the longest run of whole batches from `first` on that is at most `bytes_max` long and
  /// lies below `below`; first.position if there is none.
  [[nodiscard]] Result<End> end_of_run(const StoredBatch& first, std::uint64_t bytes_max, Offset below);

  /// The first record at or after `timestamp_ms` with an offset in [from, below).
  [[nodiscard]] Result<std::optional<TimestampOffset>> find_time(std::int64_t timestamp_ms, Offset from,
                                                                 Offset below);
  /// The largest timestamp of the batches that have offsets in [from, below), and the last offset of the
  /// first batch that has it.
  [[nodiscard]] Result<std::optional<TimestampOffset>> largest_timestamp(Offset from, Offset below);
  /// The first record with the largest timestamp within one batch, among those at or above `from`.
  [[nodiscard]] Result<std::optional<TimestampOffset>> largest_record(const StoredBatch& batch, Offset from);

  /// What retention goes by: the largest timestamp of its records; or, where that lies in the future of
  /// `now_ms` or no record has one, the time of the last append (as the file notes it);
  /// or, where that lies in the future, too, the time when this was first asked.
  [[nodiscard]] Result<WallMs> retention_time(WallMs now_ms);

  /// The largest timestamp of its first batch; or, where that lies in the future of `now_ms` or there is none, the time
  /// of an append in this life, else of the last one. Reads no more than a header, and that once.
  [[nodiscard]] Result<WallMs> first_time(WallMs now_ms);
  /// The two above need not read the file for it again, but for a note of when it was written.
  [[nodiscard]] bool knows_retention_time() const { return loaded_; }
  [[nodiscard]] bool knows_first_time() const { return first_timestamp_ms_.has_value(); }

 private:
  [[nodiscard]] Result<ScanResult> scan_up_to(std::uint64_t bytes_max, ScanCheck check,
                                              const Visitor& visit);
  [[nodiscard]] Result<> ensure_loaded();
  [[nodiscard]] Result<> rebuild_indexes();
  void publish_indexes(const std::string& offset_index, const std::string& time_index);
  void reset_to_empty();
  void index_batch(const BatchHeader& header, std::uint64_t position);
  void append_time_entry();
  [[nodiscard]] Result<std::optional<StoredBatch>> try_find(Offset offset);
  [[nodiscard]] Result<std::optional<StoredBatch>> batch_at(const OffsetEntry& entry);
  [[nodiscard]] Result<std::optional<StoredBatch>> time_search_start(std::int64_t timestamp_ms);
  [[nodiscard]] Result<std::optional<TimestampOffset>> first_record_at(const StoredBatch& batch,
                                                                       std::int64_t timestamp_ms,
                                                                       Offset from);
  [[nodiscard]] Result<Bytes> read_batch(const StoredBatch& batch);
  /// Whether a batch may follow on what ends with `expected` (exclusive).
  [[nodiscard]] bool follows(const BatchHeader& batch, Offset expected) const {
    return batch.base_offset == expected || (batch.base_offset > expected && batch.base_offset < gaps_below_);
  }
  /// Of its records: a header that a cleaner left has none.
  [[nodiscard]] static std::int64_t time_of(const BatchHeader& batch) {
    return batch.record_count > 0 ? batch.max_timestamp_ms : kNoTimestamp;
  }
  [[nodiscard]] Offset offset_of(std::int32_t relative) const { return base_offset_ + relative; }
  [[nodiscard]] tl::unexpected<Error> corrupt_at(std::uint64_t position, const Error& why) const;
  [[nodiscard]] tl::unexpected<Error> ends_early(Offset end) const;

  FileSystem& fs_;
  const LogConfig& config_;
  const Offset base_offset_;
  std::string path_;

  std::shared_ptr<File> file_;
  bool loaded_ = false;       // size, end and indexes are known
  bool tail_torn_ = false;    // a failed write may have left bytes behind size_bytes_
  std::uint64_t size_bytes_ = 0;
  Offset end_offset_;
  Offset gaps_below_{0};
  bool damaged_ = false;      // there are bytes in [0, size_bytes_) that are no batch, or offsets lack

  OffsetIndex offset_index_;
  TimeIndex time_index_;
  std::uint64_t bytes_since_entry_ = 0;
  TimeEntry largest_{kNoTimestamp, 0};
  std::optional<std::int64_t> first_timestamp_ms_;  // of the first batch; kNoTimestamp if it has none
  std::optional<WallMs> used_since_ms_;             // the first time has_room was asked
  std::optional<WallMs> ahead_since_ms_;            // since when the file is known to be from the future
};

}  // namespace tributary
