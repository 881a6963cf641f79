#pragma once
// From a folder as a stop or a crash left it to the state of a log.

#include "cluster/storage/leader_epochs.h"
#include "cluster/storage/producer_states.h"
#include "cluster/storage/compaction_point.h"
#include "cluster/storage/segment_list.h"

namespace tributary {

struct RecoveredLog {
  std::unique_ptr<SegmentList> segments;  // at least one
  std::unique_ptr<ProducerStates> producers;
  std::unique_ptr<LeaderEpochs> epochs;
  std::vector<Offset> snapshots;  // on file and valid, rising
  Offset durable_snapshot{0};     // the newest one that was made durable here; 0: none
  Offset log_start_offset{0};
  Offset log_end_offset{0};       // all below is durable
  CompactionPoint compaction;     // zeros: never cleaned
  RecoveryReport report;
};

/// See Log::open. `config` must outlive the result. Blocks on syncs.
[[nodiscard]] Result<RecoveredLog> recover_log(FileSystem& fs, const LogOpenOptions& options,
                                               const LogConfig& config);

}  // namespace tributary
