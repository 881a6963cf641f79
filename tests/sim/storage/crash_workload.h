#pragma once
// A broker's storage at work, on a simulated disk, with a record of what it has acknowledged.

#include <deque>
#include <functional>
#include <map>

#include "tests/sim/storage/crash_check.h"

namespace tributary::sim {

/// What a workload does beside the rest.
enum class Front { kStays, kGoes };  // with kGoes: retention and DeleteRecords

/// Appends, duplicates, flushes in the background, rolls, checkpoints, topics that come and go, full
/// disks, failed syncs, kills, clean stops and power cuts, by chance. The same seed does the same.
class CrashWorkload {
 public:
  /// Called before every operation that changes the disk: what a crash there leaves must agree with
  /// the truth of that moment.
  using Boundary = std::function<void(const SimulatedFileSystem& disk, const Truth& truth)>;

  CrashWorkload(std::uint64_t seed, Boundary boundary, Front front = Front::kStays);

  /// Runs so many steps; an error is a broken promise that was seen without a crash.
  [[nodiscard]] Result<> run(int steps);

 private:
  struct Producer {
    ProducerId id;
    ProducerEpoch epoch{0};
    Sequence next_sequence{0};
  };
  struct Outstanding {
    std::size_t partition;
    FlushTicket ticket;
    std::uint64_t refusals;  // so many before it began
  };
  struct Partition {
    std::unique_ptr<Log> log;
    std::vector<Producer> producers;
  };

  [[nodiscard]] Result<> step();
  [[nodiscard]] Result<> open();
  [[nodiscard]] Result<> create_partition();
  [[nodiscard]] Result<> delete_partition();
  [[nodiscard]] Result<> append_new(std::size_t partition);
  [[nodiscard]] Result<> append(std::size_t partition, std::vector<SentBatch> batches);
  [[nodiscard]] Result<> append_duplicate(std::size_t partition);
  [[nodiscard]] Result<> move_front(std::size_t partition);
  [[nodiscard]] Result<> raise_log_start(std::size_t partition, Offset offset);
  [[nodiscard]] Result<> apply_retention(std::size_t partition);
  [[nodiscard]] Result<> remove_one_file();
  void begin_flush(std::size_t partition);
  [[nodiscard]] Result<> complete_flush();
  [[nodiscard]] Result<> stop_cleanly();
  [[nodiscard]] Result<> kill();
  [[nodiscard]] Result<> power_cut();
  [[nodiscard]] Result<> send_lost(std::size_t partition);
  void drop_process();
  void watch(SimulatedFileSystem& fs);
  [[nodiscard]] SentBatch next_batch(std::size_t partition, Producer* producer, Offset base_offset);

  SeededRandom random_;
  Boundary boundary_;
  const Front front_;
  FakeClock clock_;
  std::unique_ptr<SimulatedFileSystem> fs_;
  std::unique_ptr<LogDirectory> directory_;
  Truth truth_;                        // one entry per element of partitions_
  std::vector<Partition> partitions_;
  std::deque<Outstanding> outstanding_;
  std::vector<std::string> to_be_removed_;  // paths
  bool disk_full_ = false;
  bool fail_next_sync_ = false;
  std::uint64_t next_topic_id_ = 1;
  std::uint64_t refusals_ = 0;
  std::int64_t timestamp_ms_ = 1'700'000'000'000;
};

}  // namespace tributary::sim
