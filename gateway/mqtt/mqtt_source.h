#pragma once
// The gateway's MQTT session: subscribes, hands every message over before it is acknowledged, and comes
// back by itself. MQTT 5 over TCP.

#include <atomic>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "gateway/mqtt/mqtt_handler.h"
#include "gateway/mqtt/subscriber_session.h"

namespace tributary {

struct MqttOptions : SubscriberOptions {
  std::string url = "tcp://127.0.0.1:1883";  // mqtt::parse_url
  Duration connect_timeout = std::chrono::seconds(10);  // until the subscriptions are granted
  Duration backoff_min = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(5);
  Duration settled_after = std::chrono::seconds(5);  // a connection that stood so long resets the back-off
};

/// start, any number of pause/resume (before start, too), stop. Thread-safe; owns one thread, on which the handler is
/// called. A session is kept at the broker (clean start off, no expiry) whenever this is disconnected.
class MqttSource {
 public:
  /// `handler` must outlive this.
  MqttSource(MqttOptions options, MqttHandler& handler);
  ~MqttSource();  // stops

  /// kInvalidArgument for a URL or subscription that can never work. Connects in the background, and
  /// again with jittered back-off for as long as it takes; says once a minute what is wrong, also
  /// if the broker accepts every connection and ends it at once.
  [[nodiscard]] Result<> start(bool paused = false);

  /// Disconnects, so that the broker queues. Returns at once: what has been read from the connection may still
  /// be handed over. Back-pressure, not an error.
  void pause();
  void resume();

  /// Connected and all subscriptions accepted.
  [[nodiscard]] bool ready() const;
  [[nodiscard]] std::uint64_t connects() const;

  /// Disconnects. No callback runs after it has returned. Takes as long as the handler does, or a name lookup that
  /// is under way. Safe to call twice.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
