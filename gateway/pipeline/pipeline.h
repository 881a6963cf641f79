#pragma once
// The forwarder's thread, and the way of events to it.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "gateway/pipeline/forwarder.h"

namespace tributary {

/// Construct, start, stop. The uplink tells it through UplinkEvents, on any thread; the intake wakes it.
class Pipeline final : public UplinkEvents {
 public:
  /// `fatal` is called on the pipeline's thread when nothing can go on (the intake fails); the thread
  /// then does nothing more.
  Pipeline(Intake& intake, const Clock& clock, std::function<void(const Error&)> fatal);
  ~Pipeline() override;

  /// Runs `forwarder`, which has begun and must outlive this.
  void start(Forwarder& forwarder);

  /// Seals and offers what is left, waits at most `grace` for acknowledgements, moves the rest to flash, and
  /// ends the thread. MQTT has stopped. Once.
  void stop(Duration grace);

  void on_acked(BatchId id) override;
  void on_partition_count(const std::string& topic, std::int32_t count) override;
  void on_reachable(bool reachable) override;
  void on_setback(BatchId id, Setback setback, const std::string& reason) override;

 private:
  struct Inbox {
    std::vector<BatchId> acked;
    std::vector<std::pair<std::string, std::int32_t>> partition_counts;
    std::vector<bool> reachable;
    std::vector<std::tuple<BatchId, Setback, std::string>> setbacks;
    bool woken = false;
    bool stopping = false;
    [[nodiscard]] bool empty() const {
      return acked.empty() && partition_counts.empty() && reachable.empty() && setbacks.empty() &&
             !woken;
    }
  };

  void run();
  Result<> run_until_stopped();
  Result<> drain();
  bool deliver();
  void wait_until(MonoTime time, bool even_if_stopping);

  Intake& intake_;
  const Clock& clock_;
  const std::function<void(const Error&)> fatal_;
  Forwarder* forwarder_ = nullptr;  // constant after start
  Duration grace_{};                // constant after stop
  MonoTime next_trim_{};            // the pipeline's thread only
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Inbox inbox_;  // protected by mutex_
};

}  // namespace tributary
