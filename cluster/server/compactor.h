#pragma once
// Cleans the compacted topics of a broker (cluster/storage/log_cleaner.h), one partition at a time, on a thread of
// its own.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cluster/server/broker_options.h"
#include "cluster/server/partition.h"
#include "cluster/storage/log_cleaner.h"
#include "common/telemetry/log.h"

namespace tributary {

/// `shards` and `services` must outlive it. Start and stop on one thread.
class Compactor {
 public:
  Compactor(CompactorOptions options, const std::vector<std::unique_ptr<Shard>>& shards, PartitionServices& services);
  ~Compactor();  // stopped

  void start();
  /// Ends what it is at (soon: between two batches) and waits for that. The shards must still run.
  void stop();

  /// For a partition that is closed and whose files are to go: when it returns, the compactor does not touch them any
  /// more. Any thread but the shards'.
  void leave(const TopicPartition& partition);

 private:
  class Host;
  using Turn = OncePer::Turn;

  void run();
  void look_at_all();
  void clean(const std::shared_ptr<Partition>& partition);
  void say(const TopicPartition& partition, const CleaningReport& report, Duration took);
  void postponed(const TopicPartition& partition, const SpaceShortage& shortage, Duration took);
  void failed(const TopicPartition& partition, const Error& error);
  [[nodiscard]] bool go_on(std::size_t bytes);
  [[nodiscard]] bool stopping();

  const CompactorOptions options_;
  const std::vector<std::unique_ptr<Shard>>& shards_;
  PartitionServices& services_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // under mutex_
  bool stopping_ = false;
  std::optional<TopicPartition> at_;  // being cleaned
  bool abandon_ = false;              // that

  // compactor thread only
  MonoTime paid_until_{};             // the bytes so far are worth the time until then
  std::unordered_map<std::string, MonoTime> not_before_;  // partitions whose cleaning failed or waits for space
  OncePer trouble_;
  OncePer shortage_;

  std::thread thread_;
};

}  // namespace tributary
