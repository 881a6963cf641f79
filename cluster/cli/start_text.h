#pragma once
// What --from and --at take.

#include <string_view>

#include "cluster/client/consumer.h"

namespace tributary {

/// "earliest", "latest", an offset ("1234"), a time (RFC 3339, or "@1700000000000": milliseconds since the
/// Unix epoch). kInvalidArgument names these.
[[nodiscard]] Result<StartAt> parse_start(std::string_view text);

/// What `topic offsets --at` takes: "earliest", "latest", "max-timestamp" or a time. kInvalidArgument names these.
[[nodiscard]] Result<StartAt> parse_place(std::string_view text);

}  // namespace tributary
