#pragma once
// A broker's data folder: which partitions it holds, whose it is, and how it was left.
//
//   meta.properties                      version, cluster.id, node.id (KIP-631)
//   .lock                                held while a broker runs
//   .kafka_cleanshutdown                 present only after a clean stop
//   recovery-point-offset-checkpoint     per partition: below it all is durable
//   log-start-offset-checkpoint          per partition: below it nothing is served, and segments may be gone
//   <topic>-<partition>/                 see log.h; with partition.metadata (topic id)
//   <topic>-<partition>.<id>-delete/     a deleted partition whose removal goes on at the next start

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/storage/checkpoint_file.h"
#include "cluster/storage/log.h"
#include "common/base/topic_name.h"
#include "common/base/uuid.h"

namespace tributary {

struct LogDirectoryOptions {
  std::string folder;          // created if missing
  BrokerId broker_id{0};
  std::string cluster_id;      // empty: the folder's own, or a new random one
  bool lock = true;            // false only where no second process can exist (simulated files)
};

struct FoundPartition {
  TopicPartition partition;
  std::optional<Uuid> topic_id;  // nothing if partition.metadata is missing
};

/// Thread-safe. Logs of different partitions may be opened on several threads at once; one partition
/// at most once at a time (the caller's duty).
class LogDirectory {
 public:
  /// Locks the folder, checks whose it is, finishes interrupted deletions, undoes interrupted
  /// creations, notes whether the last stop was clean and durably forgets it (blocks on syncs).
  /// Errors: kLocked; kInvalidArgument (another broker's or cluster's); kUnsupported (another
  /// version); kCorrupt (unreadable meta.properties, or partitions without one); kIo, kNoSpace.
  [[nodiscard]] static Result<std::unique_ptr<LogDirectory>> open(FileSystem& fs, const Clock& clock,
                                                                  const LogDirectoryOptions& options);
  LogDirectory(const LogDirectory&) = delete;
  LogDirectory& operator=(const LogDirectory&) = delete;
  ~LogDirectory();

  [[nodiscard]] const std::string& cluster_id() const { return cluster_id_; }
  [[nodiscard]] bool was_clean() const { return was_clean_; }
  /// The partition folders found at open, sorted by folder name.
  [[nodiscard]] const std::vector<FoundPartition>& found() const { return found_; }
  /// What open found odd and went on with: folders that are no partition's (left alone), a damaged
  /// checkpoint (every log is scanned), a damaged partition.metadata.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  /// Creates the folder with its partition.metadata, durably (blocks on syncs), and opens the log.
  /// kAlreadyExists. If it never returns, the partition is found at the next open, empty, or not at all.
  /// Writes the checkpoints first if they may still hold the points of a removed partition of this name.
  [[nodiscard]] Result<std::unique_ptr<Log>> create_log(const TopicPartition& partition,
                                                        const Uuid& topic_id,
                                                        const LogConfig& config);
  /// Opens the log of a found partition; see Log::open for errors. kNotFound.
  [[nodiscard]] Result<std::unique_ptr<Log>> open_log(const TopicPartition& partition,
                                                      const LogConfig& config);
  /// Deletes a topic's partition whose Log is closed or no longer used. Durable when it returns (the folder
  /// is renamed and that is synced); then the files are removed. Takes no space on the disk. If it never
  /// returns, the partition is there whole or gone at the next open; what fails can be tried again. Slices
  /// held by readers stay readable.
  /// kNotFound, durably, if there is no such folder or it is not this topic's: then it is left alone. One
  /// that does not say whose it is counts as the topic's if its log was opened or created here.
  [[nodiscard]] Result<> remove_log(const TopicPartition& partition, const Uuid& topic_id);

  /// Notes how far a partition is durable, in memory: call it with Log::stable_offset().
  void set_recovery_point(const TopicPartition& partition, Offset stable_offset);
  /// Writes the noted points (blocks on syncs). Call it every few seconds: what lies between the
  /// written point and the end is where a damaged batch counts as a torn write after a crash.
  [[nodiscard]] Result<> write_checkpoint();

  /// Notes durably where these partitions start (blocks on syncs); offsets below the noted ones are ignored.
  /// If it fails or never returns, the next open finds all as before or all as given. Not while one of these
  /// partitions is being removed.
  [[nodiscard]] Result<> raise_log_starts(const OffsetCheckpoint& raised);

  /// After every log's close_cleanly() and set_recovery_point(): writes the checkpoint and the marker
  /// (blocks). Leave it out if one log did not close cleanly: the next open recovers.
  [[nodiscard]] Result<> mark_clean_shutdown();

 private:
  LogDirectory(FileSystem& fs, const Clock& clock, const LogDirectoryOptions& options);

  [[nodiscard]] Result<> create_folder();
  [[nodiscard]] Result<> prepare(const LogDirectoryOptions& options);
  [[nodiscard]] Result<> check_identity(const LogDirectoryOptions& options,
                                        const std::vector<std::string>& names);
  [[nodiscard]] Result<> take_inventory(const std::vector<std::string>& names);
  [[nodiscard]] Result<bool> add_partition(const TopicPartition& partition);
  [[nodiscard]] Result<bool> holds_records(const std::string& path) const;
  [[nodiscard]] Result<OffsetCheckpoint> load_checkpoint(const std::string& name);
  [[nodiscard]] Result<> forget_points_of_missing();
  [[nodiscard]] Result<std::unique_ptr<Log>> open_folder(const TopicPartition& partition,
                                                         const LogConfig& config);
  void note_opened(const TopicPartition& partition);
  void forget(const TopicPartition& partition);
  [[nodiscard]] Result<std::optional<Uuid>> topic_of(const TopicPartition& partition) const;
  [[nodiscard]] Result<> forget_point_on_file(const TopicPartition& partition);
  [[nodiscard]] std::string path_of(std::string_view name) const {
    return folder_ + "/" + std::string(name);
  }

  // constant after open
  FileSystem& fs_;
  const Clock& clock_;
  const std::string folder_;
  std::string cluster_id_;
  bool was_clean_ = false;
  std::vector<FoundPartition> found_;
  std::vector<std::string> warnings_;
  std::optional<FolderLock> lock_;

  // under mutex_
  std::mutex mutex_;
  OffsetCheckpoint recovery_points_;
  OffsetCheckpoint log_starts_;            // without those that start with offset 0
  std::set<TopicPartition> untouched_;     // not opened since the stop
  std::set<TopicPartition> opened_;        // or created, also in vain; and not removed
  std::set<TopicPartition> stale_points_;  // removed, but the checkpoint on file may hold their points
  std::set<TopicPartition> stale_starts_;  // the same of the log start offsets and their checkpoint

  std::mutex checkpoint_mutex_;  // one writer of the checkpoint files at a time; taken before mutex_
};

}  // namespace tributary
