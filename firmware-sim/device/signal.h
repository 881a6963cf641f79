#pragma once
// One measured quantity over time: what a sensor in the field would show, from a seed.

#include <optional>

#include "common/env/clock.h"
#include "common/env/random.h"

namespace tributary {

/// The shape of a signal. Rates are per hour of simulated time; a zero switches the feature off.
struct SignalShape {
  double base = 0;
  double daily_amplitude = 0;  // sine over 24 h UTC, highest at peak_hour
  double peak_hour = 15;
  double noise = 0;            // standard deviation of slow, self-correlated noise
  double drift_per_day = 0;    // a sensor's ageing; its sign and size differ per device, up to this
  double step_size = 0;        // sudden lasting changes, +/- up to this
  double steps_per_hour = 0;
  double burst_size = 0;       // sudden rises that decay with burst_seconds
  double bursts_per_hour = 0;
  double burst_seconds = 30;
  double dropouts_per_hour = 0;  // the sensor gives nothing for up to dropout_seconds
  double dropout_seconds = 0;
  double low = 0, high = 0;    // the sensor's range; values are clamped
};

/// Pure: the same shape, seed and sequence of times give the same values. Not thread-safe.
class Signal {
 public:
  Signal(const SignalShape& shape, std::uint64_t seed);

  /// The value at `now_ms`, nothing during a dropout. Times should not fall; a step back counts as no
  /// time passed.
  [[nodiscard]] std::optional<double> at(WallMs now_ms);

 private:
  [[nodiscard]] bool happens(double per_hour, double hours);
  [[nodiscard]] double gaussian();

  SignalShape shape_;
  SeededRandom random_;
  double offset_;        // this device's own bias
  double drift_per_day_;
  double noise_ = 0, drift_ = 0, step_ = 0, burst_ = 0;
  std::optional<WallMs> last_ms_;
  WallMs dropout_until_ms_ = 0;
};

}  // namespace tributary
