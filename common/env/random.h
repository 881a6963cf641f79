#pragma once
// Randomness, injected, so that a run can be repeated from its seed.

#include <cstdint>

namespace tributary {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next_u64() = 0;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next_u64() % bound; }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }
};

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next_u64() override {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

/// 64 bits from the kernel (getrandom), for ids and seeds. Thread-safe.
[[nodiscard]] std::uint64_t random_u64_from_os();

}  // namespace tributary
