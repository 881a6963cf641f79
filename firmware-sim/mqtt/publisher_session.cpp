#include "firmware-sim/mqtt/publisher_session.h"

#include "common/base/check.h"

namespace tributary::mqtt {
namespace {

constexpr std::uint8_t kNoMatchingSubscribers = 0x10;
constexpr std::uint8_t kFailures = 0x80;

}  // namespace

std::uint16_t PublisherSession::next_packet_id() {
  do {
    last_packet_id_ = last_packet_id_ == kPacketIds ? 1 : static_cast<std::uint16_t>(last_packet_id_ + 1);
  } while (used_[last_packet_id_]);
  return last_packet_id_;
}

void PublisherSession::publish(std::string_view topic, std::string_view payload, int qos, std::uint64_t token) {
  if (qos == 0) return append_publish(version_, topic, payload, 0, 0, out_);
  CHECK(has_room(), "{} in flight, at most {}", in_flight_.size(), in_flight_max_);
  InFlight entry{.packet_id = next_packet_id(), .qos = qos, .token = token, .packet = {}};
  used_[entry.packet_id] = true;
  append_publish(version_, topic, payload, qos, entry.packet_id, entry.packet);
  out_ += entry.packet;
  in_flight_.push_back(std::move(entry));
}

void PublisherSession::connected(const Incoming& connack) {
  in_flight_max_ = std::min<std::size_t>(connack.receive_maximum, kPacketIds);
  out_.clear();
  if (!connack.session_present) {
    // Taken out first: on_outcome may publish.
    const auto given_up = std::exchange(in_flight_, {});
    used_.reset();
    for (const auto& entry : given_up) on_outcome_(entry.token, Outcome::kUnknown, entry.resent);
    return;
  }
  for (auto& entry : in_flight_) {
    if (entry.received) {
      append_pubrel(entry.packet_id, out_);
    } else {
      entry.packet[0] = static_cast<char>(entry.packet[0] | kDupFlag);
      out_ += entry.packet;
    }
  }
}

void PublisherSession::connection_lost() {
  out_.clear();
  for (auto& entry : in_flight_) entry.resent = true;
}

void PublisherSession::acknowledged(const Incoming& packet) {
  // Brokers acknowledge in order, so the first is nearly always the one.
  const auto entry = std::find_if(in_flight_.begin(), in_flight_.end(),
                                  [&](const InFlight& e) { return e.packet_id == packet.packet_id; });
  if (entry == in_flight_.end()) return;
  const bool failed = packet.reason >= kFailures;
  const bool unheard = packet.reason == kNoMatchingSubscribers;
  switch (packet.type) {
    case PacketType::kPuback:
      if (entry->qos == 1)
        finish(entry, failed ? Outcome::kRefused : unheard ? Outcome::kUnheard : Outcome::kAcknowledged);
      break;
    case PacketType::kPubrec:
      if (entry->qos != 2) break;
      if (failed) return finish(entry, Outcome::kRefused);
      entry->received = true;
      entry->unheard = unheard;
      entry->packet = {};
      append_pubrel(entry->packet_id, out_);
      break;
    case PacketType::kPubcomp:
      // "Packet identifier not found" after a reconnection says that it was complete before (3.7.2.1).
      if (entry->qos == 2 && entry->received)
        finish(entry, entry->unheard ? Outcome::kUnheard : Outcome::kAcknowledged);
      break;
    default: break;
  }
}

void PublisherSession::finish(std::deque<InFlight>::iterator entry, Outcome outcome) {
  const auto token = entry->token;
  const bool resent = entry->resent;
  used_[entry->packet_id] = false;
  in_flight_.erase(entry);
  on_outcome_(token, outcome, resent);
}

}  // namespace tributary::mqtt
