#pragma once
// A broker's data folder: which partitions it holds, whose it is, and how it was left.
//
//   meta.properties                      version, cluster.id, node.id (KIP-631)
//   .lock                                held while a broker runs
//   .kafka_cleanshutdown                 present only after a clean stop
//   recovery-point-offset-checkpoint     per partition: below it all is durable
//   log-start-offset-checkpoint          per partition: read, not written yet
//   <topic>-<partition>/                 see log.h; with partition.metadata (topic id)
//   <topic>-<partition>.<id>-delete/     a deleted partition whose removal goes on at the next start

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/storage/log.h"
#include "common/base/topic_name.h"

namespace tributary {

/// A topic's id, 16 bytes (KIP-516).
using TopicIdBytes = std::array<std::uint8_t, 16>;

struct LogDirectoryOptions {
  std::string folder;          // created if missing
  BrokerId broker_id{0};
  std::string cluster_id;      // empty: the folder's own, or a new random one
  bool lock = true;            // false only where no second process can exist (simulated files)
};

struct FoundPartition {
  TopicPartition partition;
  std::optional<TopicIdBytes> topic_id;  // nothing if partition.metadata is missing
};

/// Thread-safe. Logs of different partitions may be opened on several threads at once; one partition
/// at most once at a time (the caller's duty).
class LogDirectory {
 public:
  /// Locks the folder, checks whose it is, finishes interrupted deletions, notes whether the last stop
  /// was clean and durably forgets it (blocks on syncs).
  /// Errors: kLocked; kInvalidArgument (another broker's or cluster's); kUnsupported (another
  /// version); kCorrupt (unreadable meta.properties or checkpoint, or partitions without
  /// meta.properties); kIo, kNoSpace.
  [[nodiscard]] static Result<std::unique_ptr<LogDirectory>> open(FileSystem& fs, const Clock& clock,
                                                                  const LogDirectoryOptions& options);
  LogDirectory(const LogDirectory&) = delete;
  LogDirectory& operator=(const LogDirectory&) = delete;
  ~LogDirectory();

  [[nodiscard]] const std::string& cluster_id() const { return cluster_id_; }
  [[nodiscard]] bool was_clean() const { return was_clean_; }
  /// The partition folders found at open, sorted by folder name. Names that are no partition's are
  /// left alone and listed in strays().
  [[nodiscard]] const std::vector<FoundPartition>& found() const { return found_; }
  [[nodiscard]] const std::vector<std::string>& strays() const { return strays_; }

  /// Creates the folder with its partition.metadata, durably (blocks on syncs), and opens the log.
  /// kAlreadyExists. If it never returns, the partition may be found at the next open, empty.
  [[nodiscard]] Result<std::unique_ptr<Log>> create_log(const TopicPartition& partition,
                                                        const TopicIdBytes& topic_id,
                                                        const LogConfig& config);
  /// Opens the log of a found partition; see Log::open for errors. kNotFound.
  [[nodiscard]] Result<std::unique_ptr<Log>> open_log(const TopicPartition& partition,
                                                      const LogConfig& config);
  /// Deletes a partition whose Log is closed or no longer used. Durable when it returns (the folder is
  /// renamed and that is synced); then the files are removed. If it never returns, the partition is
  /// there whole or gone at the next open. Slices held by readers stay readable. kNotFound.
  [[nodiscard]] Result<> remove_log(const TopicPartition& partition);

  /// Notes how far a partition is durable, in memory: call it with Log::stable_offset().
  void set_recovery_point(const TopicPartition& partition, Offset stable_offset);
  /// Writes the noted points (blocks on syncs). Call it every few seconds: what lies between the
  /// written point and the end is where a damaged batch counts as a torn write after a crash.
  [[nodiscard]] Result<> write_checkpoint();

  /// After every log's close_cleanly() and set_recovery_point(): writes the checkpoint and the marker
  /// (blocks). Leave it out if one log did not close cleanly: the next open recovers.
  [[nodiscard]] Result<> mark_clean_shutdown();

 private:
  struct Lock;
  LogDirectory(FileSystem& fs, const Clock& clock, const LogDirectoryOptions& options);

  [[nodiscard]] Result<> prepare(const LogDirectoryOptions& options);
  [[nodiscard]] Result<> check_identity(const LogDirectoryOptions& options,
                                        const std::vector<std::string>& names);
  [[nodiscard]] Result<> load_checkpoints();
  [[nodiscard]] Result<> take_inventory(const std::vector<std::string>& names);
  [[nodiscard]] std::string path_of(const TopicPartition& partition) const;

  // constant after open
  FileSystem& fs_;
  const Clock& clock_;
  const std::string folder_;
  std::string cluster_id_;
  bool was_clean_ = false;
  std::vector<FoundPartition> found_;
  std::vector<std::string> strays_;
  std::map<TopicPartition, Offset> log_start_offsets_;
  std::unique_ptr<Lock> lock_;

  // under mutex_
  std::mutex mutex_;
  std::map<TopicPartition, Offset> recovery_points_;
  std::mutex checkpoint_mutex_;  // one writer of the checkpoint file at a time
};

}  // namespace tributary
