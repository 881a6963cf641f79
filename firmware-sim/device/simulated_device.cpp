#include "firmware-sim/device/simulated_device.h"

#include "common/base/check.h"

namespace tributary {
namespace {

struct Quantity {
  std::string_view name;
  int decimals;
  SignalShape shape;
};

constexpr Quantity kQuantities[] = {
    {"temperature", 2,
     {.base = 18, .daily_amplitude = 6, .peak_hour = 15, .noise = 0.15, .drift_per_day = 0.05,
      .step_size = 1.5, .steps_per_hour = 0.5, .dropouts_per_hour = 0.5, .dropout_seconds = 20,
      .low = -40, .high = 85}},
    {"humidity", 1,
     {.base = 55, .daily_amplitude = 15, .peak_hour = 4, .noise = 0.8, .drift_per_day = 0.3,
      .burst_size = 20, .bursts_per_hour = 1, .burst_seconds = 120, .low = 0, .high = 100}},
    {"pressure", 2,
     {.base = 1013.25, .daily_amplitude = 1.2, .peak_hour = 10, .noise = 0.2, .drift_per_day = 0.02,
      .low = 300, .high = 1100}},
    {"co2", 0,
     {.base = 520, .daily_amplitude = 90, .peak_hour = 14, .noise = 12, .drift_per_day = 4,
      .burst_size = 400, .bursts_per_hour = 2, .burst_seconds = 90, .dropouts_per_hour = 1,
      .dropout_seconds = 10, .low = 350, .high = 5000}},
    {"battery", 3,
     {.base = 3.7, .daily_amplitude = 0.05, .peak_hour = 17, .noise = 0.004, .drift_per_day = -0.01,
      .low = 2.5, .high = 4.2}},
};

std::uint64_t mixed(std::uint64_t seed, std::uint64_t index) {
  return SeededRandom(seed ^ SeededRandom(index + 1).next_u64()).next_u64();
}

}  // namespace

SimulatedDevice::SimulatedDevice(std::uint64_t seed) {
  signals_.reserve(std::size(kQuantities));
  for (std::size_t i = 0; i < std::size(kQuantities); ++i)
    signals_.emplace_back(kQuantities[i].shape, mixed(seed, i));
}

void SimulatedDevice::append_values(WallMs now_ms, std::string& out) {
  auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    out += i == 0 ? '{' : ',';
    const auto& quantity = kQuantities[i];
    if (const auto value = signals_[i].at(now_ms))
      fmt::format_to(end, "\"{}\":{:.{}f}", quantity.name, *value, quantity.decimals);
    else
      fmt::format_to(end, "\"{}\":null", quantity.name);
  }
  out += '}';
}

SimulatedValues::SimulatedValues(std::size_t count, std::uint64_t seed) {
  devices_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) devices_.emplace_back(mixed(seed, i));
}

Result<> SimulatedValues::append_values(std::size_t device_index, WallMs now_ms, std::string& out) {
  CHECK(device_index < devices_.size(), "device {} of {}", device_index, devices_.size());
  devices_[device_index].append_values(now_ms, out);
  return {};
}

}  // namespace tributary
