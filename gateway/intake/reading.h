#pragma once
// A reading: one MQTT message of a device, as the gateway keeps it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"
#include "common/mqtt/packet.h"

namespace tributary {

/// Ascending in the order of arrival, from 1; 0 = before the first.
using ReadingId = Strong<struct ReadingIdTag, std::int64_t>;

using mqtt::UserProperty;

/// A reading as it comes in, and as it is read back; views into memory that the giver owns.
struct ReadingView {
  std::string_view topic;       // of the log: the route has been chosen
  std::string_view key;         // of the record: the device
  std::string_view mqtt_topic;
  std::span<const UserProperty> properties;
  ByteView payload;             // may be empty
  WallMs received_ms = 0;       // becomes the record's timestamp
  MonoTime received{};
};

/// How MQTT delivered it. packet_id 0 = QoS 0, which is never delivered twice.
struct Delivery {
  std::uint16_t packet_id = 0;
  bool dup = false;
};

}  // namespace tributary
