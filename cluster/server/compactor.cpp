#include "cluster/server/compactor.h"

#include <algorithm>

#include "cluster/server/cluster_image.h"
#include "cluster/server/server_metrics.h"
#include "cluster/server/shard.h"
#include "common/env/random.h"

namespace tributary {
namespace {

/// A failed cleaning, which has read and written, is not tried again at every look.
constexpr auto kPatienceAfterFailure = std::chrono::minutes(1);
/// It does not sleep for less, and may be ahead by so much.
constexpr auto kPayInterval = std::chrono::milliseconds(20);

}  // namespace

class Compactor::Host final : public CleanerHost {
 public:
  Host(Compactor& compactor, Partition& partition) : compactor_(compactor), partition_(partition) {}

  Result<> with_log(const std::function<Result<>(Log&)>& step) override {
    Result<> result;
    partition_.shard().run_and_wait([&] { result = partition_.with_log(step); });
    return result;
  }
  bool go_on(std::size_t bytes) override { return partition_.wants_compaction() && compactor_.go_on(bytes); }

 private:
  Compactor& compactor_;
  Partition& partition_;
};

Compactor::Compactor(CompactorOptions options, const std::vector<std::unique_ptr<Shard>>& shards,
                     PartitionServices& services)
    : options_(options), shards_(shards), services_(services), trouble_(std::chrono::minutes(1), services.clock),
      shortage_(std::chrono::minutes(1), services.clock) {}

Compactor::~Compactor() { stop(); }

void Compactor::start() {
  thread_ = std::thread([this] { run(); });
}

void Compactor::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Compactor::leave(const TopicPartition& partition) {
  std::unique_lock lock(mutex_);
  if (at_ != partition) return;
  abandon_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return at_ != partition; });
}

bool Compactor::stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void Compactor::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, options_.interval, [&] { return stopping_; })) return;
    }
    look_at_all();
  }
}

void Compactor::look_at_all() {
  for (const auto& shard : shards_) {
    std::vector<std::shared_ptr<Partition>> compacted;
    shard->run_and_wait([&] {
      for (const auto& [name, topic] : shard->image()->topics())
        for (const auto& partition : topic->partitions)
          if (&partition->shard() == shard.get() && partition->is_compacted()) compacted.push_back(partition);
    });
    for (const auto& partition : compacted) {
      if (stopping()) return;
      clean(partition);
    }
  }
}

void Compactor::clean(const std::shared_ptr<Partition>& partition) {
  const auto name = fmt::to_string(partition->name());
  const auto now = services_.clock.mono_now();
  if (const auto failed = not_before_.find(name); failed != not_before_.end()) {
    if (now < failed->second) return;
    not_before_.erase(failed);
  }
  {
    const std::scoped_lock lock(mutex_);
    at_ = partition->name();
    abandon_ = false;
  }
  std::optional<CleaningPlan> plan;
  CleanerOptions cleaner{.memory_bytes = options_.memory_bytes, .seed = random_u64_from_os()};
  bool looks_further = true;
  while (!plan && looks_further && go_on(0))
    partition->shard().run_and_wait([&] {
      cleaner.delete_retention_ms = partition->delete_retention_ms();
      plan = partition->begin_cleaning();
      looks_further = partition->looks_further();
    });
  if (plan) {
    paid_until_ = now;
    Host host(*this, *partition);
    const auto cleaned = clean_log(services_.fs, services_.clock, *plan, cleaner, host);
    const auto took = services_.clock.mono_now() - now;
    if (!cleaned) failed(partition->name(), cleaned.error());
    else if (cleaned->shortage) postponed(partition->name(), *cleaned->shortage, took);
    else say(partition->name(), *cleaned, took);
    partition->shard().run_and_wait([&] { partition->cleaning_ended(); });
  }
  {
    const std::scoped_lock lock(mutex_);
    at_.reset();
  }
  changed_.notify_all();
}

void Compactor::say(const TopicPartition& partition, const CleaningReport& report, Duration took) {
  services_.metrics.cleanings.inc();
  services_.metrics.cleaned_records.inc(report.records_read - report.records_kept);
  log_info("compactor", "compacted",
           {{"partition", fmt::to_string(partition)}, {"cleaned_to", report.first_dirty.value()},
            {"records_before", report.records_read}, {"records_after", report.records_kept},
            {"bytes_before", report.bytes_before}, {"bytes_after", report.bytes_after}, {"keys", report.keys},
            {"seconds", std::chrono::duration<double>(took).count()}});
  if (report.unreadable_batches > 0)
    log_warning("compactor", "batches that do not decompress were left as they are",
                {{"partition", fmt::to_string(partition)}, {"batches", report.unreadable_batches}});
}

void Compactor::postponed(const TopicPartition& partition, const SpaceShortage& shortage, Duration took) {
  services_.metrics.postponed_cleanings.inc();
  // It has read much to know that: at most half of the time goes into finding out. It has written nothing.
  not_before_[fmt::to_string(partition)] = services_.clock.mono_now() + std::max<Duration>(options_.interval, took);
  if (const auto turn = shortage_.turn())
    log_warning("compactor", "a cleaning waits for space on the volume; it is tried again",
                {{"partition", fmt::to_string(partition)}, {"needed_bytes", shortage.needed_bytes},
                 {"usable_bytes", shortage.usable_bytes}, {"postponed_since_last_said", turn.suppressed}});
}

void Compactor::failed(const TopicPartition& partition, const Error& error) {
  if (error.code == Errc::kUnavailable) return;  // stopped, or the partition is gone
  services_.metrics.failed_cleanings.inc();
  // Damage does not heal, and another try would write all that lies before it again.
  const bool for_good = error.code == Errc::kCorrupt || error.code == Errc::kTooLarge;
  not_before_[fmt::to_string(partition)] = for_good ? MonoTime::max() : services_.clock.mono_now() + kPatienceAfterFailure;
  if (const auto turn = trouble_.turn())
    log_error("compactor", for_good ? "a partition cannot be compacted; it is left until the next start"
                       : "a partition cannot be compacted now; it is tried again",
              {{"partition", fmt::to_string(partition)}, {"error", error.message}, {"failed_since_last_said", turn.suppressed}});
}

bool Compactor::go_on(std::size_t bytes) {
  const auto now = services_.clock.mono_now();
  if (options_.bytes_per_second > 0)
    paid_until_ = std::max(paid_until_, now - kPayInterval) +
                  std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(bytes) /
                                                                     static_cast<double>(options_.bytes_per_second)));
  std::unique_lock lock(mutex_);
  const auto over = [&] { return stopping_ || abandon_; };
  if (paid_until_ > now + kPayInterval) changed_.wait_for(lock, paid_until_ - now, over);
  return !over();
}

}  // namespace tributary
