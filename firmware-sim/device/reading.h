#pragma once
// What a device publishes: the payload's JSON and the MQTT topic.

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/env/clock.h"

namespace tributary {

/// Replaces `out` with {"device":"dev-0007","seq":123,"ts":1700000000000,"values":{…}}. `values_json` goes
/// in byte for byte. If that is shorter than `payload_bytes`, a "pad" field fills it up to exactly so many
/// bytes (a pad needs 9 at least: a reading that lacks 1 to 8 bytes stays as it is).
void build_reading(std::string_view device, std::int64_t seq, WallMs ts_ms, std::string_view values_json,
                   std::size_t payload_bytes, std::string& out);

/// kInvalidArgument unless it is printable ASCII without + # / (MQTT's) and " \ (JSON's): a device's name is a
/// level of its topic, its client id and a text of its payload.
[[nodiscard]] Result<> check_device_prefix(std::string_view prefix);

/// "dev-" and 7 give "dev-0007"; five digits and more are not cut.
[[nodiscard]] std::string device_name(std::string_view prefix, std::size_t number);

/// `pattern` with every {device} replaced. kInvalidArgument without {device}, with '+', '#' or NUL (not
/// allowed in a topic name, MQTT 5 section 4.7.1), or over 65,535 bytes.
[[nodiscard]] Result<std::string> topic_of(std::string_view pattern, std::string_view device);

}  // namespace tributary
