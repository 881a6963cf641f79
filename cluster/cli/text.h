#pragma once
// How bytes and times are written for people and for JSON, and how times are read.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"

namespace tributary {

/// Text as it is; what a terminal could take for a command, a line end, or is not UTF-8 becomes "\xNN".
void append_printable(std::string& out, ByteView bytes);

[[nodiscard]] bool is_utf8(ByteView bytes);
/// `"…"` with JSON's escapes. `utf8` must be UTF-8.
void append_json_string(std::string& out, std::string_view utf8);
/// RFC 4648, with padding.
[[nodiscard]] std::string base64(ByteView bytes);

/// "2026-07-01T12:00:00.123Z"; "-" for no time (negative), and the bare number beyond the year 9999.
[[nodiscard]] std::string format_time(WallMs wall_ms);
/// RFC 3339: "2026-07-01T12:00:00Z", "2026-07-01T14:00:00.5+02:00" (a space may stand for T).
[[nodiscard]] Result<WallMs> parse_time(std::string_view text);

}  // namespace tributary
