#pragma once
// MQTT control packets, as clients send and receive them: a publishing device in versions 3.1.1 and 5.0 (OASIS), a
// subscriber in 5.0.
// Section numbers below are of MQTT 5.0. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/bytes/bytes.h"

namespace tributary::mqtt {

enum class Version : std::uint8_t { k3_1_1 = 4, k5 = 5 };  // the protocol level byte of CONNECT

enum class PacketType : std::uint8_t {
  kConnect = 1, kConnack = 2, kPublish = 3, kPuback = 4, kPubrec = 5, kPubrel = 6, kPubcomp = 7,
  kSubscribe = 8, kSuback = 9, kPingreq = 12, kPingresp = 13, kDisconnect = 14,
};

/// A packet as it stands in the stream: 2.1.1.
struct Frame {
  PacketType type{};
  std::uint8_t flags = 0;  // the first byte's lower half
  ByteView body;           // what follows the remaining length
};

/// Takes one packet off the front of `in`; nothing if it is not there in full yet, with `in` unchanged. kCorrupt
/// for a malformed length, or one over `body_bytes_max` (known before the packet is there).
[[nodiscard]] Result<std::optional<Frame>> take_frame(ByteView& in, std::size_t body_bytes_max);

/// A packet that a publisher may receive, and a subscriber beside PUBLISH and SUBACK. Which fields mean something depends on the type.
struct Incoming {
  PacketType type{};
  std::uint16_t packet_id = 0;   // PUBACK, PUBREC, PUBCOMP
  std::uint8_t reason = 0;       // CONNACK, acknowledgements, DISCONNECT; from 0x80 on a failure
  bool session_present = false;  // CONNACK
  std::uint16_t receive_maximum = 65'535;                 // CONNACK of version 5 (3.2.2.3.3)
  std::uint8_t maximum_qos = 2;                           // CONNACK of version 5
  std::uint32_t maximum_packet_bytes = 268'435'460;       // CONNACK of version 5
  std::optional<std::uint16_t> server_keep_alive_s;       // CONNACK of version 5
  std::optional<std::uint32_t> session_expiry_s;          // CONNACK of version 5; nothing: as asked for
};

/// kCorrupt for a malformed packet, and for one that Incoming has no place for.
[[nodiscard]] Result<Incoming> read_incoming(Version version, const Frame& frame);

/// A publisher subscribes to nothing, so what it receives is small: longer packets are refused unread.
inline constexpr std::size_t kIncomingBytesMax = 64 * 1024;

/// Takes one packet off the front of `in`; nothing if it is not there in full yet, with `in` unchanged.
/// kCorrupt for what a publisher must not receive, malformed or over kIncomingBytesMax.
[[nodiscard]] Result<std::optional<Incoming>> take_packet(Version version, std::string_view& in);

/// An MQTT 5 user property. Names may repeat; the order is the sender's.
struct UserProperty {
  std::string_view name;
  std::string_view value;
};

/// Views into the frame's body. The topic is not checked to be UTF-8.
struct Publish {
  std::string_view topic;
  ByteView payload;
  std::uint16_t packet_id = 0;  // 0 at QoS 0
  std::uint8_t qos = 0;
  bool dup = false;
  bool retain = false;
};
/// Version 5. Appends the user properties, views as well. kCorrupt if it is malformed or uses a topic alias, which
/// a broker may not do with who allows none (3.3.2.3.4).
[[nodiscard]] Result<Publish> read_publish(const Frame& frame, std::vector<UserProperty>& user_properties);

struct Suback {
  std::uint16_t packet_id = 0;
  ByteView reasons;  // one for each filter: the QoS granted, or from 0x80 on a failure
};
/// Version 5.
[[nodiscard]] Result<Suback> read_suback(const Frame& frame);

struct Connect {
  Version version = Version::k5;
  std::string_view client_id;
  bool clean_start = false;             // 3.1.1: clean session
  std::uint16_t keep_alive_s = 30;
  std::string_view username;            // none if empty
  std::string_view password;            // none if empty
  // Version 5 only.
  std::uint32_t session_expiry_s = 0;
  std::uint16_t receive_maximum = 0;    // 0: not said, the protocol's 65,535
  std::uint32_t packet_bytes_max = 0;   // 0: not said, no limit
};
void append_connect(const Connect& connect, std::string& out);

/// `packet_id` is not sent at QoS 0. Topic and payload must fit (65,535 bytes; 256 MB together).
void append_publish(Version version, std::string_view topic, std::string_view payload, int qos,
                    std::uint16_t packet_id, std::string& out);
/// The whole packet's size.
[[nodiscard]] std::size_t publish_bytes(Version version, std::string_view topic, std::string_view payload, int qos);
/// The DUP flag in the first byte of an encoded PUBLISH (3.3.1.1).
inline constexpr char kDupFlag = 0x08;

struct Subscription {
  std::string filter;
  int qos = 1;
};
/// Version 5, with retain handling 2: what the broker has retained is not sent (3.8.3.1).
void append_subscribe(std::uint16_t packet_id, std::span<const Subscription> subscriptions, std::string& out);
void append_puback(std::uint16_t packet_id, std::string& out);
void append_pubrel(std::uint16_t packet_id, std::string& out);
void append_pingreq(std::string& out);
/// Version 5: whether the session ends at the broker with the connection, or lasts as CONNECT said.
enum class SessionEnd { kNow, kAsAgreed };
void append_disconnect(Version version, SessionEnd end, std::string& out);

/// "not authorized (0x87)", for messages.
[[nodiscard]] std::string describe_reason(Version version, PacketType type, std::uint8_t reason);

}  // namespace tributary::mqtt
