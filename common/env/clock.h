#pragma once
// Time, injected: core code never asks the system.

#include <chrono>
#include <cstdint>

namespace tributary {

using Duration = std::chrono::nanoseconds;
/// Monotonic; comparable only within one boot of one machine.
using MonoTime = std::chrono::time_point<struct MonoClockTag, Duration>;
/// Milliseconds since the Unix epoch, as in Kafka's timestamps. May jump.
using WallMs = std::int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime mono_now() const = 0;
  [[nodiscard]] virtual WallMs wall_now_ms() const = 0;
};

/// CLOCK_MONOTONIC and CLOCK_REALTIME. Thread-safe; lives for the whole process.
[[nodiscard]] const Clock& system_clock();

/// Stands still until told. Not thread-safe.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] MonoTime mono_now() const override { return mono_; }
  [[nodiscard]] WallMs wall_now_ms() const override { return wall_ms_; }
  void advance(Duration by) {
    mono_ += by;
    wall_ms_ += std::chrono::duration_cast<std::chrono::milliseconds>(by).count();
  }
  void jump_wall_to(WallMs wall_ms) { wall_ms_ = wall_ms; }

 private:
  MonoTime mono_{std::chrono::hours(1)};
  WallMs wall_ms_ = 1'700'000'000'000;
};

}  // namespace tributary
