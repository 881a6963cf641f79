#pragma once
// Compaction: rewrites the closed segments of a log so that of each key only the newest record is left.
//
// As in Kafka: the keys of what is not clean yet ("dirty") are mapped to their newest offsets, then all segments up to
// there are written anew without the records that have a newer one. A record without a value (a tombstone) stays for
// delete.retention.ms after its first cleaning (KIP-534), so that whoever reads along learns of the deletion. Records
// keep their offsets. Of a batch whose records are all gone the header stays if it is a producer's newest, or
// the segment's last. Records without a key stay: only a topic that was not compacted takes them.
//
// On disk, per group of neighbouring segments (names: folder_names.h):
//   1. <base>.log.cleaned is written, with its indexes, and synced; the log's compaction point allows for gaps
//   2. it is renamed to <base>-<end>.swap, and the folder synced: from here on it will take their place
//   3. the log reads from it; the segments that it replaces are removed, and the folder is synced
//   4. it gets its final name
// A crash before 2 leaves what was there; after it, the next open does the rest.

#include <functional>
#include <optional>
#include <vector>

#include "cluster/storage/compaction_point.h"
#include "cluster/storage/log.h"

namespace tributary {

struct CleanableSegment {
  Offset base_offset{0};
  Offset end_offset{0};  // exclusive
  std::uint64_t size_bytes = 0;
  std::string path;
};

/// What Log::begin_cleaning gives: enough to read the segments beside the log.
struct CleaningPlan {
  std::string folder;
  LogConfig config;
  CompactionPoint point;                   // gaps_below as it will be
  Offset gaps_before{0};                   // and as it was: others are damage
  std::vector<CleanableSegment> segments;  // neighbours, by rising offset; not empty
  std::vector<Offset> newest_batches;      // the last offset of each producer's newest batch; sorted
};

/// Takes the place of the segments in [base_offset, end_offset).
struct CleanedSegments {
  Offset base_offset{0};
  Offset end_offset{0};  // exclusive
};

struct CleanerOptions {
  std::size_t memory_bytes = 64u << 20;            // for the map of keys: 24 bytes a key
  std::int64_t delete_retention_ms = 86'400'000;   // delete.retention.ms
  std::uint64_t seed = 0;                          // of the keys' hashes: a random one
};

/// What a cleaning needs of its surroundings.
class CleanerHost {
 public:
  virtual ~CleanerHost() = default;
  /// Runs `step` on the log's thread and waits for it. kUnavailable if the log is not there any more.
  [[nodiscard]] virtual Result<> with_log(const std::function<Result<>(Log&)>& step) = 0;
  /// Called after `bytes` more were read or written, to hold the cleaning to a speed. False: stop.
  [[nodiscard]] virtual bool go_on(std::size_t bytes) = 0;
};

/// The volume has less than cleaned segments take until those that they replace are gone.
struct SpaceShortage {
  std::uint64_t needed_bytes = 0;  // with an eighth more, for what is appended meanwhile
  std::uint64_t usable_bytes = 0;
};

struct CleaningReport {
  Offset first_dirty{0};  // cleaned up to here
  std::optional<SpaceShortage> shortage;  // it stopped there: nothing counts as cleaned, and it is to be tried again
  std::uint64_t records_read = 0, records_kept = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;
  std::size_t segments_before = 0, segments_after = 0;
  std::size_t keys = 0;
  std::size_t unreadable_batches = 0;  // do not decompress; kept as they are
};

/// Neighbouring segments are written anew only if there is room for that: for as much as they have, or, where there is
/// not, for about as much as stays of them, which takes a further read to know.
///
/// Carries out a plan, and ends it (Log::end_cleaning), whatever the outcome. Blocks; on any thread but the log's. If
/// the keys do not fit in memory, so much is cleaned as does; kNoSpace, naming memory_bytes, if that is not one batch.
/// kUnavailable: stopped, or the log is gone. kCorrupt: a batch is damaged; the log stays as it was. kIo, kNoSpace: the
/// disk. What was cleaned before the error stays so.
[[nodiscard]] Result<CleaningReport> clean_log(FileSystem& fs, const Clock& clock, const CleaningPlan& plan,
                                               const CleanerOptions& options, CleanerHost& host);

}  // namespace tributary
