#pragma once
// Latencies of the last few seconds and of the whole run, in whole milliseconds.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tributary {

/// Exact up to one minute; what took longer counts as one minute. Fixed memory (about 1.5 MiB).
/// One thread at a time.
class LatencyWindow {
 public:
  static constexpr std::int64_t kLatencyMsMax = 60'000;
  static constexpr std::size_t kSeconds = 10;

  LatencyWindow() : total_(kLatencyMsMax + 1), window_(kLatencyMsMax + 1) {}

  /// Clocks of two machines may differ: a negative latency counts as 0.
  void add(std::int64_t latency_ms);
  /// A second has passed: what is older than kSeconds leaves the window.
  void next_second();

  /// The smallest latency that at least a share `q` (0..1) of them does not exceed; nothing without any.
  [[nodiscard]] std::optional<std::int64_t> recent(double q) const { return quantile(window_, window_count_, q); }
  [[nodiscard]] std::optional<std::int64_t> overall(double q) const { return quantile(total_, total_count_, q); }

 private:
  using Counts = std::vector<std::uint32_t>;  // by milliseconds
  [[nodiscard]] static std::optional<std::int64_t> quantile(const Counts& counts, std::uint64_t count, double q);

  Counts total_;
  Counts window_;
  std::uint64_t total_count_ = 0;
  std::uint64_t window_count_ = 0;
  // What each second of the window has added, to be taken off again. Only a sample of a busy second is kept
  // in the window.
  static constexpr std::size_t kSamplesPerSecondMax = 20'000;
  std::array<std::vector<std::uint16_t>, kSeconds> seconds_;
  std::size_t current_ = 0;
};

}  // namespace tributary
