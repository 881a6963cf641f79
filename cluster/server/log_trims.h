#pragma once
// What a moved log start needs of the disk: the checkpoint that says so, then the removal of files.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/storage/log_directory.h"

namespace tributary {

class Partition;
class Shard;

/// Works on the controller's thread, one thing after the other with the creation and deletion of topics, so that
/// a shard never waits for the disk, and nothing is done to a folder that has become another topic's.
/// `directory`, `fs` and `loop` must outlive it; `loop` is ended before it.
class LogTrims {
 public:
  LogTrims(LogDirectory& directory, FileSystem& fs, Shard& loop) : directory_(directory), fs_(fs), loop_(loop) {}

  /// Notes a log start offset durably and says so on the controller's thread, once; not at all if the controller
  /// stops before. What is asked for meanwhile shares one write. If it fails or never returns, the next start may
  /// find the old offset or this one. Any thread.
  void note(std::shared_ptr<const Partition> partition, Offset log_start, std::function<void(const Result<>&)> done);

  /// Removes files that the partition's log has given away. What fails is left to the next start. Any thread.
  void remove_files(std::shared_ptr<const Partition> partition, std::vector<std::string> paths);

 private:
  struct Note {
    std::shared_ptr<const Partition> partition;
    Offset log_start;
    std::function<void(const Result<>&)> done;
  };
  void write_notes();

  LogDirectory& directory_;
  FileSystem& fs_;
  Shard& loop_;

  std::mutex mutex_;
  std::vector<Note> notes_;  // under mutex_; as many as there are partitions at most: each has one at a time
};

}  // namespace tributary
