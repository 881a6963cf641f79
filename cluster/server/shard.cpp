#include "cluster/server/shard.h"

#include <pthread.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <future>
#include <thread>

#include "cluster/server/partition.h"
#include "common/base/check.h"

namespace tributary {

struct Shard::Loop {
  // One thread runs it: no locks in the reactor but the one of the queue.
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
  std::atomic<std::thread::id> thread_id{};
};

namespace {

class AsioTimer final : public ShardTimer {
 public:
  AsioTimer(asio::io_context& context, std::chrono::nanoseconds delay, std::function<void()> task)
      : timer_(context, std::chrono::duration_cast<asio::steady_timer::duration>(delay)) {
    // A timer that fires and is destroyed in the same turn has its task queued already: the flag stops it.
    timer_.async_wait([alive = std::weak_ptr<bool>(alive_), task = std::move(task)](const asio::error_code& error) {
      if (!error && !alive.expired()) task();
    });
  }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Shard::Shard(std::size_t index, const std::string& name)
    : index_(index), name_(name), loop_(std::make_unique<Loop>()) {}

Shard::~Shard() { stop(); }

void Shard::start() {
  loop_->thread = std::thread([this] {
    pthread_setname_np(pthread_self(), name_.c_str());
    loop_->thread_id.store(std::this_thread::get_id(), std::memory_order_relaxed);
    loop_->context.run();
  });
}

void Shard::stop() {
  if (!loop_->thread.joinable()) return;
  CHECK(!on_this_thread(), "a shard cannot wait for itself");
  loop_->context.stop();
  loop_->thread.join();
}

asio::io_context& Shard::context() { return loop_->context; }

void Shard::post(std::function<void()> task) { asio::post(loop_->context, std::move(task)); }

void Shard::run_on(std::function<void()> task) {
  if (on_this_thread()) return task();
  post(std::move(task));
}

void Shard::run_and_wait(const std::function<void()>& task) {
  // Shared, because set_value may still be returning when the future is ready.
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  post([&task, done] {
    task();
    done->set_value();
  });
  future.wait();
}

bool Shard::on_this_thread() const {
  return loop_->thread_id.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

std::unique_ptr<ShardTimer> Shard::after(std::chrono::nanoseconds delay, std::function<void()> task) {
  return std::make_unique<AsioTimer>(loop_->context, delay, std::move(task));
}

void Shard::flush_soon(std::shared_ptr<Partition> partition) {
  dirty_.push_back(std::move(partition));
  if (dirty_.size() == 1) post([this] { flush_dirty(); });
}

void Shard::flush_dirty() {
  std::vector<std::shared_ptr<Partition>> dirty;
  dirty.swap(dirty_);
  for (const auto& partition : dirty) partition->flush_now();
  // Keeps the buffer, so that a steady load does not allocate.
  dirty.clear();
  if (dirty_.empty()) dirty_.swap(dirty);
}

}  // namespace tributary
