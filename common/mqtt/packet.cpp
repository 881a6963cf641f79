#include "common/mqtt/packet.h"

#include <fmt/format.h>

#include "common/base/check.h"
#include "common/bytes/reader.h"

namespace tributary::mqtt {
namespace {

constexpr std::size_t kRemainingLengthMax = 268'435'455;  // 1.5.5: four bytes of seven bits

void append_u16(std::uint16_t value, std::string& out) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

void append_u32(std::uint32_t value, std::string& out) {
  append_u16(static_cast<std::uint16_t>(value >> 16), out);
  append_u16(static_cast<std::uint16_t>(value & 0xffff), out);
}

void append_text(std::string_view text, std::string& out) {
  CHECK(text.size() <= 65'535, "an MQTT string of {} bytes", text.size());
  append_u16(static_cast<std::uint16_t>(text.size()), out);
  out += text;
}

void append_varint(std::size_t value, std::string& out) {
  CHECK(value <= kRemainingLengthMax, "an MQTT packet of {} bytes", value);
  do {
    const auto byte = static_cast<unsigned char>(value & 0x7f);
    value >>= 7;
    out += static_cast<char>(value > 0 ? byte | 0x80 : byte);
  } while (value > 0);
}

void append_fixed_header(PacketType type, unsigned flags, std::size_t remaining, std::string& out) {
  out += static_cast<char>(static_cast<unsigned>(type) << 4 | flags);
  append_varint(remaining, out);
}

std::size_t publish_remaining(Version version, std::string_view topic, std::string_view payload, int qos) {
  return 2 + topic.size() + (qos > 0 ? 2 : 0) + (version == Version::k5 ? 1 : 0) + payload.size();
}

std::size_t varint_or_fail(ByteReader& reader) {
  const auto value = reader.uvarint();
  if (value > kRemainingLengthMax) reader.mark_failed();
  return value;
}

/// The properties of CONNACK (3.2.2.3); unknown ones are malformed, since their length is not known.
void read_connack_properties(ByteReader& reader, Incoming& packet) {
  const auto length = varint_or_fail(reader);
  if (!reader.ok() || length > reader.remaining()) return reader.mark_failed();
  const auto end = reader.position() + length;
  while (reader.ok() && reader.position() < end) {
    switch (reader.i8()) {
      case 0x11: packet.session_expiry_s = reader.u32(); break;
      case 0x13: packet.server_keep_alive_s = reader.u16(); break;
      case 0x21: packet.receive_maximum = reader.u16(); break;
      case 0x22: reader.skip(2); break;                                   // topic alias maximum
      case 0x24: packet.maximum_qos = static_cast<std::uint8_t>(reader.i8()); break;
      case 0x27: packet.maximum_packet_bytes = reader.u32(); break;
      case 0x25: case 0x28: case 0x29: case 0x2a: reader.skip(1); break;  // what the broker offers
      case 0x12: case 0x15: case 0x16: case 0x1a: case 0x1c: case 0x1f:   // texts, authentication data
        reader.skip(reader.u16());
        break;
      case 0x26:                                                          // user property
        reader.skip(reader.u16());
        reader.skip(reader.u16());
        break;
      default: reader.mark_failed();
    }
  }
  if (reader.position() != end) reader.mark_failed();
}

void read_body(Version version, ByteReader& reader, Incoming& packet) {
  switch (packet.type) {
    case PacketType::kConnack:
      packet.session_present = (reader.i8() & 1) != 0;
      packet.reason = static_cast<std::uint8_t>(reader.i8());
      if (version == Version::k5 && reader.remaining() > 0) read_connack_properties(reader, packet);
      if (packet.receive_maximum == 0) reader.mark_failed();  // 3.2.2.3.3: a protocol error
      break;
    case PacketType::kPuback:
    case PacketType::kPubrec:
    case PacketType::kPubcomp:
      packet.packet_id = reader.u16();
      if (version == Version::k5 && reader.remaining() > 0)
        packet.reason = static_cast<std::uint8_t>(reader.i8());
      break;
    case PacketType::kDisconnect:
      if (version == Version::k5 && reader.remaining() > 0)
        packet.reason = static_cast<std::uint8_t>(reader.i8());
      break;
    default: break;
  }
}

bool may_be_incoming(const Frame& frame) {
  switch (frame.type) {
    case PacketType::kConnack: case PacketType::kPuback: case PacketType::kPubrec:
    case PacketType::kPubcomp: case PacketType::kPingresp: case PacketType::kDisconnect: return frame.flags == 0;
    default: return false;
  }
}

tl::unexpected<Error> malformed(const Frame& frame) {
  return fail(Errc::kCorrupt, fmt::format("MQTT: a malformed packet of type {}, {} bytes",
                                          static_cast<int>(frame.type), frame.body.size()));
}

tl::unexpected<Error> unexpected_packet(const Frame& frame) {
  return fail(Errc::kCorrupt, fmt::format("MQTT: an unexpected packet, first byte 0x{:02x}",
                                          static_cast<unsigned>(frame.type) << 4 | frame.flags));
}

ByteView sized(ByteReader& reader) { return reader.bytes(reader.u16()); }

/// The properties of PUBLISH (3.3.2.3).
void read_publish_properties(ByteReader& reader, std::vector<UserProperty>& user_properties) {
  const auto length = varint_or_fail(reader);
  if (!reader.ok() || length > reader.remaining()) return reader.mark_failed();
  const auto end = reader.position() + length;
  while (reader.ok() && reader.position() < end) {
    switch (reader.i8()) {
      case 0x01: reader.skip(1); break;                                // payload format
      case 0x02: reader.skip(4); break;                                // message expiry
      case 0x03: case 0x08: case 0x09: sized(reader); break;           // content type, response topic, correlation
      case 0x0b: varint_or_fail(reader); break;                        // subscription identifier
      case 0x26: {
        const auto name = as_string_view(sized(reader));
        user_properties.push_back({name, as_string_view(sized(reader))});
        break;
      }
      default: reader.mark_failed();                                   // a topic alias, too
    }
  }
  if (reader.position() != end) reader.mark_failed();
}

}  // namespace

Result<std::optional<Frame>> take_frame(ByteView& in, std::size_t body_bytes_max) {
  std::size_t length = 0, at = 1;
  for (int shift = 0;; shift += 7, ++at) {
    if (shift > 21) return fail(Errc::kCorrupt, "MQTT: a remaining length of more than four bytes");
    if (at >= in.size()) return std::nullopt;
    length |= static_cast<std::size_t>(in[at] & 0x7f) << shift;
    if ((in[at] & 0x80) == 0) break;
  }
  ++at;
  if (length > body_bytes_max) {
    return fail(Errc::kCorrupt, fmt::format("MQTT: a packet of {} bytes, at most {}", length, body_bytes_max));
  }
  if (in.size() - at < length) return std::nullopt;
  Frame frame{static_cast<PacketType>(in[0] >> 4), static_cast<std::uint8_t>(in[0] & 0x0f), in.subspan(at, length)};
  in = in.subspan(at + length);
  return frame;
}

Result<Incoming> read_incoming(Version version, const Frame& frame) {
  if (!may_be_incoming(frame)) return unexpected_packet(frame);
  Incoming packet;
  packet.type = frame.type;
  ByteReader reader(frame.body);
  read_body(version, reader, packet);
  if (!reader.ok()) return malformed(frame);
  return packet;
}

Result<std::optional<Incoming>> take_packet(Version version, std::string_view& in) {
  if (!in.empty()) {  // known by its first byte
    const auto first = static_cast<unsigned char>(in[0]);
    const Frame frame{static_cast<PacketType>(first >> 4), static_cast<std::uint8_t>(first & 0x0f), {}};
    if (!may_be_incoming(frame)) return unexpected_packet(frame);
  }
  auto bytes = as_bytes(in);
  ASSIGN_OR_RETURN(const auto frame, take_frame(bytes, kIncomingBytesMax));
  if (!frame) return std::nullopt;
  ASSIGN_OR_RETURN(const auto packet, read_incoming(version, *frame));
  in.remove_prefix(in.size() - bytes.size());
  return packet;
}

Result<Publish> read_publish(const Frame& frame, std::vector<UserProperty>& user_properties) {
  Publish publish;
  publish.retain = (frame.flags & 1) != 0;
  publish.qos = static_cast<std::uint8_t>(frame.flags >> 1 & 3);
  publish.dup = (frame.flags & 8) != 0;
  ByteReader reader(frame.body);
  publish.topic = as_string_view(sized(reader));
  if (publish.qos > 0) publish.packet_id = reader.u16();
  read_publish_properties(reader, user_properties);
  publish.payload = reader.bytes(reader.remaining());
  const bool valid = frame.type == PacketType::kPublish && publish.qos < 3 && !publish.topic.empty() &&
                     (publish.qos > 0) == (publish.packet_id != 0);
  if (!reader.ok() || !valid) return malformed(frame);
  return publish;
}

Result<Suback> read_suback(const Frame& frame) {
  Suback suback;
  ByteReader reader(frame.body);
  suback.packet_id = reader.u16();
  reader.skip(varint_or_fail(reader));  // reason string, user properties
  suback.reasons = reader.bytes(reader.remaining());
  if (!reader.ok() || frame.type != PacketType::kSuback || frame.flags != 0) return malformed(frame);
  return suback;
}

void append_connect(const Connect& connect, std::string& out) {
  const bool v5 = connect.version == Version::k5;
  std::string body;
  append_text("MQTT", body);
  body += static_cast<char>(connect.version);
  const bool has_username = !connect.username.empty(), has_password = !connect.password.empty();
  body += static_cast<char>((has_username ? 0x80 : 0) | (has_password ? 0x40 : 0) | (connect.clean_start ? 0x02 : 0));
  append_u16(connect.keep_alive_s, body);
  if (v5) {
    std::string properties;
    properties += 0x11;
    append_u32(connect.session_expiry_s, properties);
    if (connect.receive_maximum > 0) {
      properties += 0x21;
      append_u16(connect.receive_maximum, properties);
    }
    if (connect.packet_bytes_max > 0) {
      properties += 0x27;
      append_u32(connect.packet_bytes_max, properties);
    }
    append_varint(properties.size(), body);
    body += properties;
  }
  append_text(connect.client_id, body);
  if (has_username) append_text(connect.username, body);
  if (has_password) append_text(connect.password, body);
  append_fixed_header(PacketType::kConnect, 0, body.size(), out);
  out += body;
}

void append_publish(Version version, std::string_view topic, std::string_view payload, int qos,
                    std::uint16_t packet_id, std::string& out) {
  append_fixed_header(PacketType::kPublish, static_cast<unsigned>(qos) << 1,
                      publish_remaining(version, topic, payload, qos), out);
  append_text(topic, out);
  if (qos > 0) append_u16(packet_id, out);
  if (version == Version::k5) out += '\0';  // no properties
  out += payload;
}

std::size_t publish_bytes(Version version, std::string_view topic, std::string_view payload, int qos) {
  const auto remaining = publish_remaining(version, topic, payload, qos);
  std::size_t length_bytes = 1;
  for (auto left = remaining >> 7; left > 0; left >>= 7) ++length_bytes;
  return 1 + length_bytes + remaining;
}

void append_subscribe(std::uint16_t packet_id, std::span<const Subscription> subscriptions, std::string& out) {
  constexpr int kRetainHandlingDoNotSend = 2 << 4;
  std::string body;
  append_u16(packet_id, body);
  append_varint(0, body);
  for (const auto& subscription : subscriptions) {
    append_text(subscription.filter, body);
    body += static_cast<char>(kRetainHandlingDoNotSend | subscription.qos);
  }
  append_fixed_header(PacketType::kSubscribe, 2, body.size(), out);
  out += body;
}

void append_puback(std::uint16_t packet_id, std::string& out) {
  append_fixed_header(PacketType::kPuback, 0, 2, out);
  append_u16(packet_id, out);
}

void append_pubrel(std::uint16_t packet_id, std::string& out) {
  append_fixed_header(PacketType::kPubrel, 2, 2, out);
  append_u16(packet_id, out);
}

void append_pingreq(std::string& out) { append_fixed_header(PacketType::kPingreq, 0, 0, out); }

void append_disconnect(Version version, SessionEnd end, std::string& out) {
  if (version == Version::k3_1_1 || end == SessionEnd::kAsAgreed) return append_fixed_header(PacketType::kDisconnect, 0, 0, out);
  append_fixed_header(PacketType::kDisconnect, 0, 7, out);
  out += '\0';  // normal disconnection
  append_varint(5, out);
  out += 0x11;  // session expiry interval
  append_u32(0, out);
}

std::string describe_reason(Version version, PacketType type, std::uint8_t reason) {
  std::string_view name = "refused";
  if (version == Version::k3_1_1 && type == PacketType::kConnack) {
    constexpr std::string_view kNames[] = {"accepted", "protocol version not served", "client id refused",
                                           "server unavailable", "bad user name or password", "not authorized"};
    if (reason < std::size(kNames)) name = kNames[reason];
  } else {
    switch (reason) {
      case 0x00: name = "success"; break;
      case 0x81: name = "malformed packet"; break;
      case 0x82: name = "protocol error"; break;
      case 0x84: name = "protocol version not served"; break;
      case 0x85: name = "client id refused"; break;
      case 0x86: name = "bad user name or password"; break;
      case 0x87: name = "not authorized"; break;
      case 0x88: name = "server unavailable"; break;
      case 0x89: name = "server busy"; break;
      case 0x8b: name = "server shutting down"; break;
      case 0x8d: name = "keep alive timeout"; break;
      case 0x8e: name = "session taken over by another client of the same id"; break;
      case 0x90: name = "topic name refused"; break;
      case 0x93: name = "receive maximum exceeded"; break;
      case 0x95: name = "packet too large"; break;
      case 0x97: name = "quota exceeded"; break;
      case 0x9b: name = "QoS not served"; break;
      default: break;
    }
  }
  return fmt::format("{} (0x{:02x})", name, reason);
}

}  // namespace tributary::mqtt
