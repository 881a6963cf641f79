#pragma once
// User properties as one column: for each, uvarint length and bytes of the name, then of the value.

#include <vector>

#include "common/base/result.h"
#include "gateway/intake/reading.h"

namespace tributary {

/// Replaces the content of `out`.
void encode_user_properties(std::span<const UserProperty> properties, Bytes& out);
/// Replaces the content of `out` with views into `encoded`. kCorrupt if it is malformed.
[[nodiscard]] Result<> decode_user_properties(ByteView encoded, std::vector<UserProperty>& out);

}  // namespace tributary
