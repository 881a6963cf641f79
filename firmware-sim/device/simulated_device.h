#pragma once
// A weather and air-quality station that exists only as numbers.

#include <vector>

#include "firmware-sim/device/signal.h"
#include "firmware-sim/device/value_source.h"

namespace tributary {

/// One station: temperature (°C), humidity (%), pressure (hPa), co2 (ppm) and battery (V), each with its
/// own shape. Pure, from its seed. Not thread-safe.
class SimulatedDevice {
 public:
  explicit SimulatedDevice(std::uint64_t seed);

  /// Appends {"temperature":21.53,"humidity":48.1,"pressure":1013.42,"co2":612,"battery":3.71}; a value
  /// in a dropout is null.
  void append_values(WallMs now_ms, std::string& out);

 private:
  std::vector<Signal> signals_;
};

/// `count` stations; device i's seed comes from `seed` and i, so that adding devices changes none.
class SimulatedValues final : public ValueSource {
 public:
  SimulatedValues(std::size_t count, std::uint64_t seed);
  [[nodiscard]] Result<> append_values(std::size_t device_index, WallMs now_ms, std::string& out) override;

 private:
  std::vector<SimulatedDevice> devices_;
};

}  // namespace tributary
