#pragma once
// Answers on their way from the transport's threads to the thread that waits for them.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "common/env/clock.h"

namespace tributary {

/// A queue that outlives whoever waits on it: callbacks hold it by shared_ptr, so an answer that comes
/// late finds it still there. Thread-safe.
template <class T>
class Completions {
 public:
  void push(T item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    arrived_.notify_one();
  }
  /// The oldest item; nothing if none has come by `deadline`.
  [[nodiscard]] std::optional<T> pop_until(MonoTime deadline) {
    std::unique_lock lock(mutex_);
    const auto left = deadline - system_clock().mono_now();
    arrived_.wait_for(lock, left, [&] { return !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    auto item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<T> items_;
};

}  // namespace tributary
