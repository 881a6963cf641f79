#include "gateway/pipeline/pipeline.h"

#include <malloc.h>

namespace tributary {
namespace {

constexpr auto kTrimInterval = std::chrono::seconds(20);

}  // namespace

Pipeline::Pipeline(Intake& intake, const Clock& clock, std::function<void(const Error&)> fatal)
    : intake_(intake), clock_(clock), fatal_(std::move(fatal)) {
  intake_.set_wake([this] {
    const std::lock_guard guard(mutex_);
    inbox_.woken = true;
    changed_.notify_one();
  });
}

Pipeline::~Pipeline() {
  if (thread_.joinable()) stop(Duration::zero());
}

void Pipeline::start(Forwarder& forwarder) {
  forwarder_ = &forwarder;
  thread_ = std::thread([this] { run(); });
}

void Pipeline::stop(Duration grace) {
  {
    const std::lock_guard guard(mutex_);
    grace_ = grace;
    inbox_.stopping = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Pipeline::on_acked(BatchId id) {
  const std::lock_guard guard(mutex_);
  inbox_.acked.push_back(id);
  changed_.notify_one();
}

void Pipeline::on_partition_count(const std::string& topic, std::int32_t count) {
  const std::lock_guard guard(mutex_);
  inbox_.partition_counts.emplace_back(topic, count);
  changed_.notify_one();
}

void Pipeline::on_reachable(bool reachable) {
  const std::lock_guard guard(mutex_);
  inbox_.reachable.push_back(reachable);
  changed_.notify_one();
}

void Pipeline::on_setback(BatchId id, Setback setback, const std::string& reason) {
  const std::lock_guard guard(mutex_);
  inbox_.setbacks.emplace_back(id, setback, reason);
  changed_.notify_one();
}

// Gives the events to the forwarder; false if it is time to stop.
bool Pipeline::deliver() {
  Inbox taken;
  {
    const std::lock_guard guard(mutex_);
    std::swap(taken, inbox_);
    inbox_.stopping = taken.stopping;
  }
  for (const bool reachable : taken.reachable) forwarder_->reachable(reachable);
  for (const auto& [topic, count] : taken.partition_counts) forwarder_->partition_count(topic, count);
  for (const auto id : taken.acked) forwarder_->acked(id);
  for (auto& [id, setback, reason] : taken.setbacks) forwarder_->setback(id, setback, std::move(reason));
  return !taken.stopping;
}

void Pipeline::wait_until(MonoTime time, bool even_if_stopping) {
  const auto left = time - clock_.mono_now();
  if (left <= Duration::zero()) return;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, left, [&] { return !inbox_.empty() || (inbox_.stopping && !even_if_stopping); });
}

Result<> Pipeline::run_until_stopped() {
  while (deliver()) {
    ASSIGN_OR_RETURN(const auto next, forwarder_->step());
    if (!intake_.wake_after(forwarder_->wake_bytes())) continue;
    wait_until(next, false);
    // Bursts leave free memory behind that small devices need.
    if (const auto now = clock_.mono_now(); now >= next_trim_) {
      malloc_trim(0);
      next_trim_ = now + kTrimInterval;
    }
  }
  return {};
}

Result<> Pipeline::drain() {
  const auto deadline = clock_.mono_now() + grace_;
  forwarder_->hurry();
  while (clock_.mono_now() < deadline) {
    deliver();
    ASSIGN_OR_RETURN(const auto next, forwarder_->step());
    if (forwarder_->drained()) break;
    wait_until(std::min(next, deadline), true);
  }
  deliver();
  return forwarder_->finish();
}

void Pipeline::run() {
  auto result = run_until_stopped();
  if (result) result = drain();
  if (!result) fatal_(result.error());
}

}  // namespace tributary
