#include "firmware-sim/fleet/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tributary {

void LatencyHistogram::add(std::int64_t latency_us) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency_us));
  std::size_t bucket = value;  // below 2^kSubBits each value has its own
  if (const int bits = std::bit_width(value); bits > kSubBits) {
    const int shift = bits - kSubBits - 1;
    bucket = (static_cast<std::size_t>(shift) << kSubBits) + (value >> shift);
  }
  ++buckets_[std::min(bucket, kBuckets - 1)];
  ++count_;
}

std::int64_t LatencyHistogram::percentile_us(double share) const {
  if (count_ == 0) return 0;
  auto rest = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_)));
  rest = std::clamp<std::int64_t>(rest, 1, count_);
  std::size_t bucket = 0;
  for (; bucket < kBuckets - 1; ++bucket)
    if ((rest -= buckets_[bucket]) <= 0) break;
  if (bucket < (1u << kSubBits)) return static_cast<std::int64_t>(bucket);
  // Bucket b of shift s holds the values v with (s << kSubBits) + (v >> s) == b and v >> s in [16, 32).
  const auto shift = (bucket >> kSubBits) - 1;
  const auto top = (bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits);
  return static_cast<std::int64_t>(((top + 1) << shift) - 1);
}

}  // namespace tributary
