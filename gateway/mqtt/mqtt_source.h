#pragma once
// The gateway's MQTT session: subscribes, hands every message over before it is acknowledged, and comes
// back by itself. MQTT 5 over TCP (OASIS MQTT 5.0).

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "gateway/intake/reading.h"

namespace tributary {

struct MqttSubscription {
  std::string filter;
  int qos = 1;  // 0 or 1: the library's state for QoS 2 does not survive a crash
};

struct MqttOptions {
  std::string url = "tcp://127.0.0.1:1883";  // "tcp://host:port", or "mqtt://"
  std::string client_id;                     // names the session at the MQTT broker: stable
  std::string username;                      // none if empty
  std::string password;
  std::vector<MqttSubscription> subscriptions;
  std::uint16_t receive_maximum = 500;       // unacknowledged messages that the broker may have under way
  std::uint32_t packet_bytes_max = 2 << 20;  // larger ones the broker drops (MQTT 5, 3.1.2.11.4): a
                                             // message may take 30 times its size in memory
  std::uint16_t keep_alive_s = 20;
  Duration backoff_min = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(5);
  Duration settled_after = std::chrono::seconds(5);  // a connection that stood so long resets the back-off
};

/// Views into the library's memory, valid during the call.
struct MqttMessage {
  std::string_view topic;
  ByteView payload;
  std::span<const UserProperty> properties;
  Delivery delivery;
};

/// Called on the library's one receive thread; must not call MqttSource.
class MqttHandler {
 public:
  virtual ~MqttHandler() = default;

  /// The message is acknowledged (PUBACK) when this returns, and only then. There is no way to refuse:
  /// who cannot keep the message ends the process, and the broker delivers it again.
  virtual void on_message(const MqttMessage& message) = 0;

  /// A connection was accepted; before any message of it. `session_present` false: the broker knew of no
  /// session, so earlier packet ids mean nothing any more.
  virtual void on_connected(bool session_present) = 0;
};

/// start, any number of pause/resume (before start, too), stop. Thread-safe; owns one thread, which alone talks to the
/// library. A session is kept at the broker (clean start off, no expiry) whenever this is disconnected.
class MqttSource {
 public:
  /// `handler` must outlive this.
  MqttSource(MqttOptions options, MqttHandler& handler);
  ~MqttSource();  // stops

  /// kInvalidArgument for a URL or subscription that can never work. Connects in the background, and
  /// again with jittered back-off for as long as it takes; says once a minute what is wrong, also
  /// if the broker accepts every connection and ends it at once.
  [[nodiscard]] Result<> start(bool paused = false);

  /// Disconnects, so that the broker queues. Returns at once: up to receive_maximum messages may still
  /// come. Back-pressure, not an error.
  void pause();
  void resume();

  /// Connected and all subscriptions accepted.
  [[nodiscard]] bool ready() const;
  [[nodiscard]] std::uint64_t connects() const;

  /// Disconnects. No callback runs after it has returned. At most a few seconds. Safe to call twice.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
