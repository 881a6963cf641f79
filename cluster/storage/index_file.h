#pragma once
// Kafka's sparse indexes of one segment.
//
//   .index      8 bytes an entry: relative offset i32, position i32
//   .timeindex 12 bytes an entry: timestamp i64, relative offset i32
//
// Big endian, both fields rising from entry to entry. The offset is the last one of a batch; the
// position is where that batch starts in the .log; the timestamp is the largest one up to that batch.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/env/file_system.h"

namespace tributary {

struct OffsetEntry {
  std::int32_t relative_offset = 0;
  std::int32_t position = 0;

  static constexpr std::size_t kBytes = 8;
  static OffsetEntry decode(ByteView bytes);
  void encode(Bytes& out) const;
  [[nodiscard]] bool rises_above(const OffsetEntry& before) const {
    return relative_offset > before.relative_offset && position > before.position;
  }
  friend bool operator==(const OffsetEntry&, const OffsetEntry&) = default;
};

struct TimeEntry {
  std::int64_t timestamp_ms = 0;
  std::int32_t relative_offset = 0;

  static constexpr std::size_t kBytes = 12;
  static TimeEntry decode(ByteView bytes);
  void encode(Bytes& out) const;
  [[nodiscard]] bool rises_above(const TimeEntry& before) const {
    return timestamp_ms > before.timestamp_ms && relative_offset > before.relative_offset;
  }
  friend bool operator==(const TimeEntry&, const TimeEntry&) = default;
};

/// An index is a hint: it is never synced before the log needs it, and whoever follows an entry checks
/// it against the log. That none is missing nobody can check: one that is made anew for a closed segment gets its name
/// when it is durable. The newest entries are in memory, up to kPendingMax of them, the others on file; the file is
/// open only during a call, so that an index at rest costs no descriptor.
/// One thread at a time.
template <class Entry>
class IndexFile {
 public:
  static constexpr std::size_t kPendingMax = 128;

  IndexFile(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The file has been renamed, or is to be another one from the next reset on.
  void moved_to(std::string path) { path_ = std::move(path); }

  /// Takes the file's entries as they are. False if the file is missing or cannot be an index
  /// (its size, or a last entry out of order); then the caller rebuilds it.
  [[nodiscard]] Result<bool> load();
  /// Starts anew, empty; the file is replaced at the next save.
  void reset();

  /// `entry` must rise above the last one. Memory only, or also the file when enough are pending;
  /// when that write fails, entries stay in memory until one succeeds.
  void append(const Entry& entry);
  /// Writes all entries to the file, which exists afterwards. Not synced.
  [[nodiscard]] Result<> save();
  /// save, and the open file, for a sync.
  [[nodiscard]] Result<std::shared_ptr<File>> save_and_open();

  [[nodiscard]] std::size_t size() const { return on_file_ + pending_.size(); }
  [[nodiscard]] const std::optional<Entry>& last() const { return last_; }

  /// The last entry for which `at_most(entry)` holds, when it holds for a prefix of the entries (any
  /// entry or none when the file is garbage). Nothing if it holds for none.
  template <class Predicate>
  [[nodiscard]] Result<std::optional<Entry>> last_where(Predicate at_most) const {
    if (!last_) return std::nullopt;
    if (at_most(*last_)) return last_;
    if (!pending_.empty() && at_most(pending_.front()))
      return *std::prev(std::partition_point(pending_.begin(), pending_.end(), at_most));
    if (on_file_ == 0) return std::nullopt;
    ASSIGN_OR_RETURN(const auto file, fs_.open(path_, OpenMode::kRead));
    std::optional<Entry> found;
    std::size_t low = 0, high = on_file_;  // at_most holds below low, not from high on
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      ASSIGN_OR_RETURN(const auto entry, read_entry(*file, middle));
      if (!entry || !at_most(*entry)) {
        high = middle;
      } else {
        found = entry;
        low = middle + 1;
      }
    }
    return found;
  }

 private:
  [[nodiscard]] static Result<std::optional<Entry>> read_entry(const File& file, std::size_t number);

  FileSystem& fs_;
  std::string path_;
  std::size_t on_file_ = 0;
  std::vector<Entry> pending_;
  std::optional<Entry> last_;
  bool replace_ = true;  // what the file holds is not ours: the next save truncates it
};

using OffsetIndex = IndexFile<OffsetEntry>;
using TimeIndex = IndexFile<TimeEntry>;

extern template class IndexFile<OffsetEntry>;
extern template class IndexFile<TimeEntry>;

}  // namespace tributary
