#pragma once
// The publishing half of an MQTT session: what is in flight, and what to send again. Pure.

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/mqtt/packet.h"

namespace tributary::mqtt {

/// How a publication at QoS 1 or 2 ended.
enum class Outcome {
  kAcknowledged,  // PUBACK or PUBCOMP without a failure
  kUnheard,       // acknowledged and dropped, since nobody is subscribed: reason 0x10. Only version 5 has it, no
                  // broker must use it, and Mosquitto does at QoS 1 only
  kRefused,       // the broker said no: it has not taken the message
  kUnknown,       // the broker lost the session while it was in flight: taken or not, nobody knows
};

/// Bytes in, bytes out; the owner has the socket. One thread.
///
/// Messages go out in the order of publish(). After a lost connection the session is continued (clean
/// start false): if the broker still has it, everything in flight is sent again in the original order, under
/// its packet id and with DUP (4.4); if not, all of it ends as kUnknown (3.2.2.1.1). A message is never
/// sent again under a new packet id: that would be a second message, where DUP is the same one.
/// A broker at QoS 1 need not recognise DUP (4.3.2), so a resent message may be handed on twice; at QoS 2
/// it is handed on exactly once.
class PublisherSession {
 public:
  /// `token` is publish()'s. `resent` says that the connection broke while it was in flight. May publish().
  using OnOutcome = std::function<void(std::uint64_t token, Outcome outcome, bool resent)>;

  PublisherSession(Version version, OnOutcome on_outcome)
      : version_(version), on_outcome_(std::move(on_outcome)) {}

  /// Whether a message at QoS 1 or 2 may be published: the broker's receive maximum and the packet ids.
  [[nodiscard]] bool has_room() const { return in_flight_.size() < in_flight_max_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }

  /// Appends a PUBLISH to out(). Only while connected; at QoS 1 and 2 only if has_room(). `token` is not
  /// used at QoS 0, which has no outcome.
  void publish(std::string_view topic, std::string_view payload, int qos, std::uint64_t token);

  /// A CONNACK without failure has come: sends again, or gives up, what was in flight.
  void connected(const Incoming& connack);
  /// The connection is gone: drops out(), remembers that everything in flight may have arrived.
  void connection_lost();
  /// PUBACK, PUBREC or PUBCOMP. Those for packet ids that are not in flight are ignored.
  void acknowledged(const Incoming& packet);

  /// Bytes to be written to the connection; the owner takes them away.
  [[nodiscard]] std::string& out() { return out_; }

 private:
  struct InFlight {
    std::uint16_t packet_id;
    int qos;
    bool received = false;  // QoS 2: PUBREC has come, PUBREL is out
    bool unheard = false;   // and it said so
    bool resent = false;
    std::uint64_t token;
    std::string packet;     // the PUBLISH, for sending again; empty once received
  };

  [[nodiscard]] std::uint16_t next_packet_id();
  void finish(std::deque<InFlight>::iterator entry, Outcome outcome);

  static constexpr std::size_t kPacketIds = 65'535;

  const Version version_;
  const OnOutcome on_outcome_;
  std::deque<InFlight> in_flight_;  // in the order of publish()
  std::size_t in_flight_max_ = kPacketIds;
  std::bitset<kPacketIds + 1> used_;
  std::uint16_t last_packet_id_ = 0;
  std::string out_;
};

}  // namespace tributary::mqtt
