#pragma once
// The topics in what a consumer says to its group's leader.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/bytes/bytes.h"

namespace tributary {

/// The protocol type whose members' metadata is a subscription.
inline constexpr std::string_view kConsumerProtocolType = "consumer";

/// Kafka's ConsumerProtocolSubscription: version i16 | topics (count i32, strings) | more, which differs by
/// version. Nothing if the bytes are something else.
[[nodiscard]] std::optional<std::set<std::string>> subscribed_topics(ByteView metadata);

}  // namespace tributary
