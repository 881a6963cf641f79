#pragma once
// Where the "values" of a reading come from: made up (SimulatedValues) or recorded (ReplayedValues).

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/env/clock.h"

namespace tributary {

class ValueSource {
 public:
  virtual ~ValueSource() = default;
  /// Appends the JSON object that device `device_index` (from 0) measures at `now_ms`. One thread.
  [[nodiscard]] virtual Result<> append_values(std::size_t device_index, WallMs now_ms, std::string& out) = 0;
};

}  // namespace tributary
