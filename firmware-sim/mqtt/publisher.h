#pragma once
// A device's MQTT connection: connects, keeps the session alive, comes back by itself.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/mqtt/url.h"
#include "firmware-sim/mqtt/publisher_session.h"

namespace asio { class io_context; }

namespace tributary::mqtt {

struct PublisherOptions {
  Address address;
  Version version = Version::k5;
  std::string client_id;
  int qos = 1;                          // for the check against what the broker serves
  std::uint16_t keep_alive_s = 30;
  std::uint32_t session_expiry_s = 3600;  // version 5; 3.1.1 sessions have no end but the broker's own
  std::uint64_t seed = 0;               // of the reconnection jitter
};

/// Runs on the thread of its io_context, where all calls are made and all callbacks come.
///
/// A run begins with an empty session: whatever an earlier process of the same client id left in flight is
/// dropped at the broker. After that the session is kept over every lost connection (PublisherSession
/// says what is sent again). Reconnects for ever: after 100 ms, doubling to 5 s, with jitter; from 100 ms again
/// after a connection that brought an acknowledgement or stood for 5 s.
class Publisher {
 public:
  struct Callbacks {
    PublisherSession::OnOutcome on_outcome;
    /// Connected, resent what had to be: publish() may be called.
    std::function<void()> on_connected;
    /// The connection is gone, or an attempt has failed; once for each.
    std::function<void(const std::string& why)> on_disconnected;
  };

  Publisher(asio::io_context& io, PublisherOptions options, Callbacks callbacks);
  /// The io_context must not run handlers of this object afterwards: destroy it after the io_context's run
  /// has ended, or after on_closed.
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void start();

  /// Connected, room for another message in flight, and not too much unwritten.
  [[nodiscard]] bool can_publish() const;
  /// Only if can_publish(). Written with the other messages of this turn of the io_context.
  void publish(std::string_view topic, std::string_view payload, int qos, std::uint64_t token);

  /// Of the broker, as it said when the connection was made. Larger ones must not be published: it would end
  /// the connection, and again when they are sent again.
  [[nodiscard]] std::size_t packet_bytes_max() const;
  [[nodiscard]] Version version() const;

  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] std::size_t unwritten_bytes() const;

  /// Once a second: sends PINGREQ when the connection was silent for half the keep-alive time, and drops a
  /// connection that has been waiting for a PINGRESP as long (3.1.2.10).
  void keep_alive();

  /// Sends DISCONNECT, then closes; no reconnection. `on_closed` once, within 2 seconds.
  void close(std::function<void()> on_closed);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tributary::mqtt
