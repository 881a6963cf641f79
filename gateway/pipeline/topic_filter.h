#pragma once
// MQTT topic filters (MQTT 5.0, 4.7).

#include <string_view>

#include "common/base/result.h"

namespace tributary {

/// kInvalidArgument, saying what is wrong: empty, over 65535 bytes, a NUL, '#' that is not the whole last
/// level, '+' that is not a whole level, or a shared subscription ("$share/...", which has no order).
[[nodiscard]] Result<> check_topic_filter(std::string_view filter);

/// Whether a topic matches a valid filter. A wildcard at the start does not match a topic that begins with
/// '$'; "a/#" matches "a" too.
[[nodiscard]] bool filter_matches(std::string_view filter, std::string_view topic);

/// Whether every topic that `inner` matches is matched by `outer`.
[[nodiscard]] bool filter_covers(std::string_view outer, std::string_view inner);

/// Whether there is a topic that both match.
[[nodiscard]] bool filters_overlap(std::string_view a, std::string_view b);

/// RFC 3629: no overlong forms, surrogates or values over U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace tributary
