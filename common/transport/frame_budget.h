#pragma once
// Memory for frames that have arrived in part, shared by a server's connections. Internal to the folder.

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace tributary {

/// Thread-safe.
class FrameBudget {
 public:
  explicit FrameBudget(std::size_t bytes) : free_bytes_(bytes) {}

  /// False, and nothing is taken, if fewer are free.
  [[nodiscard]] bool take(std::size_t bytes) {
    auto free = free_bytes_.load();
    while (free >= bytes)
      if (free_bytes_.compare_exchange_weak(free, free - bytes)) return true;
    return false;
  }
  void give_back(std::size_t bytes) { free_bytes_ += bytes; }

 private:
  std::atomic<std::size_t> free_bytes_;
};

/// What one connection has taken; given back on destruction. One thread at a time.
class FrameBudgetShare {
 public:
  explicit FrameBudgetShare(std::shared_ptr<FrameBudget> budget) : budget_(std::move(budget)) {}
  ~FrameBudgetShare() { give_back(); }
  FrameBudgetShare(const FrameBudgetShare&) = delete;
  FrameBudgetShare& operator=(const FrameBudgetShare&) = delete;

  /// Whether `bytes` are held, now or already. The share is empty or of this size.
  [[nodiscard]] bool hold(std::size_t bytes) {
    if (bytes_ == 0 && budget_->take(bytes)) bytes_ = bytes;
    return bytes_ == bytes;
  }
  [[nodiscard]] bool held() const { return bytes_ > 0; }
  void give_back() { budget_->give_back(std::exchange(bytes_, 0)); }

 private:
  const std::shared_ptr<FrameBudget> budget_;
  std::size_t bytes_ = 0;
};

}  // namespace tributary
