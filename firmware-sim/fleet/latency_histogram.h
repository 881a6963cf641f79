#pragma once
// Latencies in a fixed space: 16 buckets per power of two, so a percentile is at most 7 % too high.

#include <array>
#include <cstdint>

namespace tributary {

/// Not thread-safe.
class LatencyHistogram {
 public:
  void add(std::int64_t latency_us);
  [[nodiscard]] std::int64_t count() const { return count_; }
  /// The upper edge of the bucket that holds the given share (0.99) of all; 0 without any.
  [[nodiscard]] std::int64_t percentile_us(double share) const;

 private:
  static constexpr int kSubBits = 4;
  static constexpr std::size_t kBuckets = (40 - kSubBits + 1) << kSubBits;  // up to 2^40 us, 12 days

  std::array<std::int64_t, kBuckets> buckets_{};
  std::int64_t count_ = 0;
};

}  // namespace tributary
