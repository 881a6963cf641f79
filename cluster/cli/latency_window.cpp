#include "cluster/cli/latency_window.h"

#include <algorithm>
#include <cmath>

namespace tributary {

static_assert(LatencyWindow::kLatencyMsMax <= UINT16_MAX);

void LatencyWindow::add(std::int64_t latency_ms) {
  const auto ms = static_cast<std::uint16_t>(std::clamp<std::int64_t>(latency_ms, 0, kLatencyMsMax));
  ++total_[ms];
  ++total_count_;
  auto& second = seconds_[current_];
  if (second.size() >= kSamplesPerSecondMax) return;
  second.push_back(ms);
  ++window_[ms];
  ++window_count_;
}

void LatencyWindow::next_second() {
  current_ = (current_ + 1) % kSeconds;
  for (const auto ms : seconds_[current_]) --window_[ms];
  window_count_ -= seconds_[current_].size();
  seconds_[current_].clear();
}

std::optional<std::int64_t> LatencyWindow::quantile(const Counts& counts, std::uint64_t count, double q) {
  if (count == 0) return std::nullopt;
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count))));
  std::uint64_t below = 0;
  for (std::size_t ms = 0; ms < counts.size(); ++ms) {
    below += counts[ms];
    if (below >= rank) return static_cast<std::int64_t>(ms);
  }
  return kLatencyMsMax;
}

}  // namespace tributary
