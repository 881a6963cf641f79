#pragma once
// Which leader epoch wrote which offsets (KIP-101), kept in `leader-epoch-checkpoint`.

#include <string>
#include <vector>

#include "cluster/storage/checkpoint_file.h"

namespace tributary {

/// Of one log; one thread at a time.
class LeaderEpochs {
 public:
  LeaderEpochs(FileSystem& fs, std::string folder);

  /// Reads the file. False if it is missing or damaged: then note() must be called for every batch of
  /// the log before the epochs are complete.
  [[nodiscard]] bool load();

  /// Learns from a batch that is in the log, in offset order; in memory only.
  void note(LeaderEpoch epoch, Offset base_offset);
  /// Forgets epochs that start at or above `end_offset`, in memory only.
  void truncate_from(Offset end_offset);

  /// Enters a new epoch durably (blocks on a sync) before its first batch is written. Nothing to do
  /// for the latest epoch. If it fails or never returns, the file holds the old or the new entries.
  [[nodiscard]] Result<> assign(LeaderEpoch epoch, Offset start_offset);

  /// Writes what note and truncate_from have changed (blocks on a sync); nothing if nothing changed.
  [[nodiscard]] Result<> save();

  [[nodiscard]] LeaderEpoch latest() const {
    return epochs_.empty() ? kNoLeaderEpoch : epochs_.back().epoch;
  }
  [[nodiscard]] const std::vector<EpochStart>& entries() const { return epochs_; }

 private:
  [[nodiscard]] Result<> write(const std::vector<EpochStart>& epochs);

  FileSystem& fs_;
  const std::string path_;
  std::vector<EpochStart> epochs_;
  bool changed_ = false;
};

}  // namespace tributary
