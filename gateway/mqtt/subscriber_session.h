#pragma once
// The subscribing half of an MQTT 5 connection (OASIS MQTT 5.0). Pure.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/mqtt/packet.h"
#include "gateway/mqtt/mqtt_handler.h"

namespace tributary {

struct SubscriberOptions {
  std::string client_id;                     // names the session at the MQTT broker: stable
  std::string username;                      // none if empty
  std::string password;
  std::vector<mqtt::Subscription> subscriptions;
  std::uint16_t receive_maximum = 500;       // unacknowledged messages that the broker may have under way
  std::uint32_t packet_bytes_max = 2 << 20;  // larger ones the broker drops (3.1.2.11.4)
  std::uint16_t keep_alive_s = 20;
};

/// One connection, from CONNECT to its end; bytes in, bytes out; the owner has the socket. One thread.
///
/// The session is asked to be continued, and to be kept for ever. Subscribes after every connect: the session's
/// subscriptions may be of a former configuration, and to subscribe again only replaces them.
class SubscriberSession {
 public:
  /// Both must outlive this.
  SubscriberSession(const SubscriberOptions& options, MqttHandler& handler);

  /// What is retained is acknowledged and passed over: it is no new reading.
  ///
  /// Takes the whole packets at the front of `bytes` and says how many bytes those were. All messages among them
  /// are given to the handler in as few calls as kBatchMax and the other packets allow; then their PUBACKs are in
  /// out(). An error ends the connection: kUnavailable with the broker's reason, kCorrupt for what it must not
  /// send. What was handed over before may or may not have been acknowledged.
  [[nodiscard]] Result<std::size_t> received(ByteView bytes);

  /// Bytes to be written to the connection; the owner takes them away. CONNECT is there from the beginning.
  [[nodiscard]] std::string& out() { return out_; }

  /// CONNACK has come.
  [[nodiscard]] bool connected() const { return state_ != State::kConnecting; }
  [[nodiscard]] bool session_present() const { return session_present_; }
  /// All subscriptions are granted.
  [[nodiscard]] bool ready() const { return state_ == State::kReady; }
  /// Filters that the broker serves at a lower QoS than was asked for. Known when ready.
  [[nodiscard]] const std::vector<std::string>& lowered() const { return lowered_; }
  /// After how many seconds without a connection the broker forgets the session; nothing if never, as asked for.
  [[nodiscard]] std::optional<std::uint32_t> expires() const { return expires_; }
  /// As agreed: a packet must be sent so often (3.1.2.10). 0: never.
  [[nodiscard]] std::uint16_t keep_alive_s() const { return keep_alive_s_; }
  /// PINGREQ. Its answer says as well that the broker has taken all PUBACKs before it: packets of a connection are
  /// processed in their order. Sent by itself after each kSettleAfter of them, one at a time.
  void ping();
  /// PUBACKs were sent that no ping has followed.
  [[nodiscard]] bool has_unsettled() const { return !acked_.empty(); }
  void disconnect() { mqtt::append_disconnect(mqtt::Version::k5, mqtt::SessionEnd::kAsAgreed, out_); }

  static constexpr std::size_t kBatchMax = 512;  // messages
  static constexpr std::size_t kSettleAfter = 64;

 private:
  enum class State { kConnecting, kSubscribing, kReady };

  Result<> take(const mqtt::Frame& frame);
  Result<> take_publish(const mqtt::Frame& frame);
  Result<> take_connack(const mqtt::Frame& frame);
  Result<> take_suback(const mqtt::Frame& frame);
  void hand_over();

  const SubscriberOptions& options_;
  MqttHandler& handler_;
  State state_ = State::kConnecting;
  bool session_present_ = false;
  std::uint16_t keep_alive_s_;
  std::vector<std::string> lowered_;
  std::optional<std::uint32_t> expires_;
  std::string out_;

  struct Ping {
    std::vector<std::uint16_t> acked;  // before it, since the one before
    std::int64_t position = 0;
  };
  std::deque<Ping> pings_;                    // not answered
  std::vector<std::uint16_t> acked_;          // since the last ping

  // Since the last hand-over.
  std::vector<MqttMessage> messages_;
  std::vector<std::size_t> property_counts_;  // of each message
  std::vector<UserProperty> properties_;      // of all
};

}  // namespace tributary
