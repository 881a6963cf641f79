#pragma once
// What tributary-fleet says while it runs and at its end.

#include <string>

#include "firmware-sim/fleet/fleet.h"

namespace tributary {

/// "   12 s  2,003/s published  2,001/s acknowledged  14 in flight  50/50 connected": `before` is the
/// last second's.
[[nodiscard]] std::string progress_line(const FleetStats& before, const FleetStats& now);

[[nodiscard]] std::string summary_text(const FleetOptions& options, const FleetStats& stats);

/// One JSON object, the numbers of FleetStats by their names, with seed, qos, and ledger if there is one.
[[nodiscard]] std::string summary_json(const FleetOptions& options, const FleetStats& stats);

}  // namespace tributary
