#pragma once
// Who takes the messages of an MQTT session.

#include <span>
#include <string_view>

#include "common/bytes/bytes.h"
#include "gateway/intake/reading.h"

namespace tributary {

/// Views, valid during the call.
struct MqttMessage {
  std::string_view topic;
  ByteView payload;
  std::span<const UserProperty> properties;
  Delivery delivery;
};

/// Called on the session's one thread; must not call MqttSource.
class MqttHandler {
 public:
  virtual ~MqttHandler() = default;

  /// The messages, in order, are acknowledged (PUBACK) when this returns, and only then: keep them all in one go.
  /// There is no way to refuse: who cannot keep them ends the process, and the broker delivers them again.
  virtual void on_messages(std::span<const MqttMessage> messages) = 0;

  /// Where the messages that were handed over end; rises.
  [[nodiscard]] virtual std::int64_t position() = 0;

  /// The broker has taken the PUBACKs of these packet ids, of messages handed over up to `position`: it will not
  /// deliver them again.
  virtual void on_settled(std::span<const std::uint16_t> packet_ids, std::int64_t position) = 0;

  /// A connection was accepted; before any message of it. `session_present` false: the broker knew of no
  /// session, so earlier packet ids mean nothing any more.
  virtual void on_connected(bool session_present) = 0;
};

}  // namespace tributary
