#include "firmware-sim/device/signal.h"

#include <cmath>
#include <numbers>

namespace tributary {
namespace {

constexpr double kMsPerHour = 3'600'000.0;
constexpr double kNoiseMemorySeconds = 20;  // the noise forgets itself over about this time

}  // namespace

Signal::Signal(const SignalShape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {
  offset_ = shape_.daily_amplitude * 0.3 * (random_.unit() * 2 - 1) + shape_.noise * gaussian();
  drift_per_day_ = shape_.drift_per_day * (random_.unit() * 2 - 1);
}

bool Signal::happens(double per_hour, double hours) {
  // Drawn in every case, so that one feature's rate does not change the others' numbers.
  return random_.unit() < per_hour * hours;
}

double Signal::gaussian() {
  double sum = 0;  // Irwin-Hall: close to normal, within +/- 6
  for (int i = 0; i < 12; ++i) sum += random_.unit();
  return sum - 6;
}

std::optional<double> Signal::at(WallMs now_ms) {
  const double passed_ms = last_ms_ ? static_cast<double>(std::max<WallMs>(0, now_ms - *last_ms_)) : 0;
  const double hours = std::min(passed_ms / kMsPerHour, 1.0);
  last_ms_ = now_ms;

  const double memory = std::exp(-passed_ms / (kNoiseMemorySeconds * 1000));
  noise_ = noise_ * memory + shape_.noise * std::sqrt(1 - memory * memory) * gaussian();
  drift_ += drift_per_day_ * hours / 24;
  const double step_by = shape_.step_size * (random_.unit() * 2 - 1);
  if (happens(shape_.steps_per_hour, hours)) step_ += step_by;
  burst_ *= std::exp(-passed_ms / (shape_.burst_seconds * 1000));
  if (happens(shape_.bursts_per_hour, hours)) burst_ += shape_.burst_size * (0.5 + 0.5 * random_.unit());
  if (happens(shape_.dropouts_per_hour, hours))
    dropout_until_ms_ = now_ms + static_cast<WallMs>(shape_.dropout_seconds * 1000 * random_.unit());
  if (now_ms < dropout_until_ms_) return std::nullopt;

  const double hour = std::fmod(static_cast<double>(now_ms) / kMsPerHour, 24.0);
  const double daily =
      shape_.daily_amplitude * std::cos((hour - shape_.peak_hour) / 24 * 2 * std::numbers::pi);
  return std::clamp(shape_.base + offset_ + daily + noise_ + drift_ + step_ + burst_, shape_.low, shape_.high);
}

}  // namespace tributary
