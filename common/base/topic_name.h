#pragma once
// What a topic may be called.

#include <string_view>

#include "common/base/result.h"

namespace tributary {

/// Kafka's rules: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". kInvalidArgument says what is wrong.
[[nodiscard]] Result<> validate_topic_name(std::string_view name);

}  // namespace tributary
