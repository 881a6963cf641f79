#include "gateway/mqtt/subscriber_session.h"

#include "common/base/check.h"

namespace tributary {
namespace {

using mqtt::PacketType;

constexpr std::uint16_t kSubscribeId = 1;      // the only packet that a subscriber numbers
constexpr std::uint32_t kNever = 0xffffffffu;  // a session expiry interval
constexpr std::uint8_t kFailure = 0x80;        // reason codes from here on
constexpr std::size_t kKeptProperties = 1024;  // what messages with many may leave allocated

}  // namespace

SubscriberSession::SubscriberSession(const SubscriberOptions& options, MqttHandler& handler)
    : options_(options), handler_(handler), keep_alive_s_(options.keep_alive_s) {
  mqtt::append_connect({.client_id = options.client_id,
                        .clean_start = false,
                        .keep_alive_s = options.keep_alive_s,
                        .username = options.username,
                        .password = options.password,
                        .session_expiry_s = kNever,
                        .receive_maximum = options.receive_maximum,
                        .packet_bytes_max = options.packet_bytes_max},
                       out_);
}

Result<std::size_t> SubscriberSession::received(ByteView bytes) {
  auto rest = bytes;
  for (;;) {
    auto frame = mqtt::take_frame(rest, options_.packet_bytes_max);
    auto taken = frame ? Result<>() : tl::unexpected<Error>(frame.error());
    if (frame && *frame) taken = take(**frame);
    if (!taken) {
      // What came whole before it is good.
      hand_over();
      return tl::unexpected<Error>(std::move(taken).error());
    }
    if (!*frame) break;
  }
  hand_over();
  if (pings_.empty() && acked_.size() >= kSettleAfter) ping();
  return bytes.size() - rest.size();
}

void SubscriberSession::ping() {
  mqtt::append_pingreq(out_);
  pings_.push_back({std::exchange(acked_, {}), handler_.position()});
}

Result<> SubscriberSession::take(const mqtt::Frame& frame) {
  if (frame.type == PacketType::kPublish) return take_publish(frame);
  hand_over();
  if (frame.type == PacketType::kSuback) return take_suback(frame);
  if (frame.type == PacketType::kConnack) return take_connack(frame);
  ASSIGN_OR_RETURN(const auto packet, mqtt::read_incoming(mqtt::Version::k5, frame));
  switch (packet.type) {
    case PacketType::kPingresp:
      if (pings_.empty()) return {};
      handler_.on_settled(pings_.front().acked, pings_.front().position);
      pings_.pop_front();
      return {};
    case PacketType::kDisconnect:
      return fail(Errc::kUnavailable,
                  fmt::format("the broker ended the connection: {}",
                              mqtt::describe_reason(mqtt::Version::k5, packet.type, packet.reason)));
    default:
      return fail(Errc::kCorrupt, fmt::format("MQTT: a packet of type {} for a subscriber", static_cast<int>(packet.type)));
  }
}

Result<> SubscriberSession::take_connack(const mqtt::Frame& frame) {
  if (state_ != State::kConnecting) return fail(Errc::kCorrupt, "MQTT: a second CONNACK");
  ASSIGN_OR_RETURN(const auto connack, mqtt::read_incoming(mqtt::Version::k5, frame));
  if (connack.reason != 0) {
    return fail(Errc::kUnavailable,
                fmt::format("the broker refused the connection: {}",
                            mqtt::describe_reason(mqtt::Version::k5, connack.type, connack.reason)));
  }
  keep_alive_s_ = connack.server_keep_alive_s.value_or(options_.keep_alive_s);
  session_present_ = connack.session_present;
  if (connack.session_expiry_s && *connack.session_expiry_s < kNever) expires_ = connack.session_expiry_s;
  state_ = State::kSubscribing;
  handler_.on_connected(session_present_);
  mqtt::append_subscribe(kSubscribeId, options_.subscriptions, out_);
  return {};
}

Result<> SubscriberSession::take_suback(const mqtt::Frame& frame) {
  ASSIGN_OR_RETURN(const auto suback, mqtt::read_suback(frame));
  const auto& asked = options_.subscriptions;
  if (state_ != State::kSubscribing || suback.packet_id != kSubscribeId || suback.reasons.size() != asked.size()) {
    return fail(Errc::kCorrupt, "MQTT: a SUBACK that answers nothing");
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (suback.reasons[i] >= kFailure) {
      return fail(Errc::kUnavailable,
                  fmt::format("the broker refuses the subscription to {}: {}", asked[i].filter,
                              mqtt::describe_reason(mqtt::Version::k5, PacketType::kSuback, suback.reasons[i])));
    }
    if (suback.reasons[i] < asked[i].qos) lowered_.push_back(asked[i].filter);
  }
  state_ = State::kReady;
  return {};
}

Result<> SubscriberSession::take_publish(const mqtt::Frame& frame) {
  if (state_ == State::kConnecting) return fail(Errc::kCorrupt, "MQTT: a message before CONNACK");
  const auto properties_before = properties_.size();
  ASSIGN_OR_RETURN(const auto publish, mqtt::read_publish(frame, properties_));
  if (publish.qos > 1) {
    return fail(Errc::kCorrupt, fmt::format("the broker sends a message at QoS 2, which was not asked for: the session {} "
                                            "was subscribed by another, and must be removed there", options_.client_id));
  }
  if (publish.retain) {
    // Retain handling 2 asked for none, and with retain as published 0 only a replay has the flag (3.3.1.3).
    hand_over();
    properties_.clear();
    if (publish.packet_id != 0) mqtt::append_puback(publish.packet_id, out_);
    return {};
  }
  property_counts_.push_back(properties_.size() - properties_before);
  messages_.push_back({publish.topic, publish.payload, {}, {publish.packet_id, publish.dup}});
  if (messages_.size() >= kBatchMax || properties_.size() >= kKeptProperties) hand_over();
  return {};
}

void SubscriberSession::hand_over() {
  if (messages_.empty()) return properties_.clear();
  std::size_t at = 0;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    messages_[i].properties = std::span(properties_).subspan(at, property_counts_[i]);
    at += property_counts_[i];
  }
  handler_.on_messages(messages_);
  for (const auto& message : messages_) {
    if (message.delivery.packet_id == 0) continue;
    mqtt::append_puback(message.delivery.packet_id, out_);
    acked_.push_back(message.delivery.packet_id);
  }
  messages_.clear();
  property_counts_.clear();
  properties_.clear();
  if (properties_.capacity() > 2 * kKeptProperties) std::vector<UserProperty>().swap(properties_);
}

}  // namespace tributary
