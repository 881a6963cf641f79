#pragma once
// One thread with an event loop. Partitions and connections belong to one each.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace asio {
class io_context;
}

namespace tributary {

class ClusterImage;
class Partition;

/// A timer that is cancelled by letting it go. Shard thread only.
class ShardTimer {
 public:
  virtual ~ShardTimer() = default;
};

/// Lifecycle: construct, start, stop (from outside), destroy. Tasks posted by one thread run in their
/// order; crossing from shard to shard is nothing but a posted task.
class Shard {
 public:
  /// `name` is the thread's, at most 15 characters.
  Shard(std::size_t index, const std::string& name);
  ~Shard();  // stop(); tasks that are still queued are dropped
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  void start();
  /// Returns when the thread has ended. Tasks not begun by then are never run.
  void stop();

  // Any thread.
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] asio::io_context& context();
  void post(std::function<void()> task);
  /// Runs now if called on this shard's thread, otherwise posts.
  void run_on(std::function<void()> task);
  /// Posts and waits until the task has run. From outside of all shards only.
  void run_and_wait(const std::function<void()>& task);
  [[nodiscard]] bool on_this_thread() const;

  // This shard's thread only.

  /// Runs `task` after `delay` unless the timer is destroyed before. The timer must go before the shard does.
  [[nodiscard]] std::unique_ptr<ShardTimer> after(std::chrono::nanoseconds delay, std::function<void()> task);
  /// Calls partition.flush_now() once at the end of what this thread is at: appends that arrived
  /// together share one fdatasync.
  void flush_soon(std::shared_ptr<Partition> partition);
  /// What this shard knows of the cluster; never null after start of the broker.
  [[nodiscard]] const std::shared_ptr<const ClusterImage>& image() const { return image_; }
  void set_image(std::shared_ptr<const ClusterImage> image) {
    image_ = std::move(image);
    if (on_image_) on_image_();
  }
  /// Called after every change of the image; nothing to end that.
  void on_image(std::function<void()> changed) { on_image_ = std::move(changed); }

 private:
  struct Loop;
  void flush_dirty();

  // constant
  const std::size_t index_;
  const std::string name_;
  const std::unique_ptr<Loop> loop_;

  // shard thread only
  std::shared_ptr<const ClusterImage> image_;
  std::function<void()> on_image_;
  std::vector<std::shared_ptr<Partition>> dirty_;
};

}  // namespace tributary
