#pragma once
// The MQTT control packets that a publishing device sends and receives: versions 3.1.1 and 5.0 (OASIS).
// Section numbers below are of MQTT 5.0. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tributary::mqtt {

enum class Version : std::uint8_t { k3_1_1 = 4, k5 = 5 };  // the protocol level byte of CONNECT

enum class PacketType : std::uint8_t {
  kConnect = 1, kConnack = 2, kPublish = 3, kPuback = 4, kPubrec = 5, kPubrel = 6, kPubcomp = 7,
  kPingreq = 12, kPingresp = 13, kDisconnect = 14,
};

/// A packet that a publisher may receive. Which fields mean something depends on the type.
struct Incoming {
  PacketType type{};
  std::uint16_t packet_id = 0;   // PUBACK, PUBREC, PUBCOMP
  std::uint8_t reason = 0;       // CONNACK, acknowledgements, DISCONNECT; from 0x80 on a failure
  bool session_present = false;  // CONNACK
  std::uint16_t receive_maximum = 65'535;                 // CONNACK of version 5 (3.2.2.3.3)
  std::uint8_t maximum_qos = 2;                           // CONNACK of version 5
  std::uint32_t maximum_packet_bytes = 268'435'460;       // CONNACK of version 5
  std::optional<std::uint16_t> server_keep_alive_s;       // CONNACK of version 5
};

/// A publisher subscribes to nothing, so what it receives is small: longer packets are refused unread.
inline constexpr std::size_t kIncomingBytesMax = 64 * 1024;

/// Takes one packet off the front of `in`; nothing if it is not there in full yet, with `in` unchanged.
/// kCorrupt for what a publisher must not receive, malformed or over kIncomingBytesMax.
[[nodiscard]] Result<std::optional<Incoming>> take_packet(Version version, std::string_view& in);

struct Connect {
  Version version = Version::k5;
  std::string_view client_id;
  bool clean_start = false;             // 3.1.1: clean session
  std::uint16_t keep_alive_s = 30;
  std::uint32_t session_expiry_s = 0;   // version 5 only
};
void append_connect(const Connect& connect, std::string& out);

/// `packet_id` is not sent at QoS 0. Topic and payload must fit (65,535 bytes; 256 MB together).
void append_publish(Version version, std::string_view topic, std::string_view payload, int qos,
                    std::uint16_t packet_id, std::string& out);
/// The whole packet's size.
[[nodiscard]] std::size_t publish_bytes(Version version, std::string_view topic, std::string_view payload, int qos);
/// The DUP flag in the first byte of an encoded PUBLISH (3.3.1.1).
inline constexpr char kDupFlag = 0x08;

void append_pubrel(std::uint16_t packet_id, std::string& out);
void append_pingreq(std::string& out);
/// Version 5: the session ends at the broker with the connection.
void append_disconnect(Version version, std::string& out);

/// "not authorized (0x87)", for messages.
[[nodiscard]] std::string describe_reason(Version version, PacketType type, std::uint8_t reason);

}  // namespace tributary::mqtt
