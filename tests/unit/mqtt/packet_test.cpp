#include "common/mqtt/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/env/random.h"
#include "common/mqtt/url.h"

namespace tributary::mqtt {
namespace {

using namespace std::string_literals;

Incoming taken(Version version, const std::string& bytes) {
  std::string_view in = bytes;
  auto packet = take_packet(version, in);
  EXPECT_TRUE(packet) << packet.error().message;
  EXPECT_TRUE(packet && *packet);
  EXPECT_TRUE(in.empty());
  return packet && *packet ? **packet : Incoming{};
}

Error refused(Version version, const std::string& bytes) {
  std::string_view in = bytes;
  auto packet = take_packet(version, in);
  EXPECT_FALSE(packet);
  return packet ? Error{Errc::kIo, "taken"} : packet.error();
}

// The byte strings are those of the specification's packet layouts, written by hand.
TEST(MqttPacket, ConnectOf311IsTheSpecifiedBytes) {
  std::string out;
  append_connect({.version = Version::k3_1_1, .client_id = "dev", .clean_start = true, .keep_alive_s = 60}, out);
  EXPECT_EQ("\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03" "dev"s, out);
}

TEST(MqttPacket, ConnectOf5CarriesTheSessionExpiry) {
  std::string out;
  append_connect({.version = Version::k5, .client_id = "dev", .clean_start = false, .keep_alive_s = 30,
                  .session_expiry_s = 3600}, out);
  EXPECT_EQ("\x10\x15\x00\x04MQTT\x05\x00\x00\x1e\x05\x11\x00\x00\x0e\x10\x00\x03" "dev"s, out);
}

TEST(MqttPacket, PublishIsTheSpecifiedBytes) {
  std::string out;
  append_publish(Version::k3_1_1, "a/b", "hi", 1, 0x0102, out);
  EXPECT_EQ("\x32\x09\x00\x03" "a/b\x01\x02hi"s, out);
  out.clear();
  append_publish(Version::k5, "a/b", "hi", 2, 10, out);
  EXPECT_EQ("\x34\x0a\x00\x03" "a/b\x00\x0a\x00hi"s, out);
  out.clear();
  append_publish(Version::k3_1_1, "a/b", std::string(200, 'x'), 0, 99, out);
  EXPECT_EQ("\x30\xcd\x01\x00\x03" "a/b"s.append(200, 'x'), out);
}

TEST(MqttPacket, ConnackOf5GivesTheLimits) {
  const auto packet = taken(Version::k5, "\x20\x17\x01\x00\x14\x21\x00\x14\x13\x00\x3c\x24\x01\x26\x00\x01k\x00\x01v\x27\x00\x01\x00\x00"s);
  EXPECT_EQ(PacketType::kConnack, packet.type);
  EXPECT_TRUE(packet.session_present);
  EXPECT_EQ(20, packet.receive_maximum);
  EXPECT_EQ(60, packet.server_keep_alive_s);
  EXPECT_EQ(1, packet.maximum_qos);
  EXPECT_EQ(65'536u, packet.maximum_packet_bytes);
}

TEST(MqttPacket, AcknowledgementsOf5MayLeaveTheReasonAway) {
  EXPECT_EQ(0, taken(Version::k5, "\x40\x02\x00\x07"s).reason);
  EXPECT_EQ(0x97, taken(Version::k5, "\x40\x04\x00\x07\x97\x00"s).reason);
  EXPECT_EQ(7, taken(Version::k5, "\x40\x03\x00\x07\x10"s).packet_id);
}

TEST(MqttPacket, APacketThatIsNotThereInFullIsLeftAlone) {
  const auto bytes = "\x40\x04\x00\x07\x00\x00"s;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    std::string_view in(bytes.data(), size);
    auto packet = take_packet(Version::k5, in);
    ASSERT_TRUE(packet);
    EXPECT_FALSE(*packet);
    EXPECT_EQ(size, in.size());
  }
}

TEST(MqttPacket, WhatAPublisherMustNotReceiveIsRefused) {
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x30\x04\x00\x01" "ax"s).code);      // PUBLISH
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x41\x02\x00\x07"s).code);           // reserved flags
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x40\x01\x00"s).code);               // too short
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x40\xff\xff\xff\xff\x01"s).code);   // length of 5 bytes
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x20\x05\x00\x00\x7f\x00\x00"s).code);  // properties past the end
  EXPECT_EQ(Errc::kCorrupt, refused(Version::k5, "\x20\x06\x00\x00\x03\x21\x00\x00"s).code);  // receive maximum 0
  EXPECT_THAT(refused(Version::k5, "\x40\xff\xff\xff\x7f"s).message, testing::HasSubstr("268435455"));
}

TEST(MqttPacket, GarbageIsRefusedOrWaitsForMore) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes;
    for (auto n = random.below(40); n > 0; --n) bytes += static_cast<char>(random.next_u64());
    if (round % 2 == 0 && bytes.size() > 2) {
      bytes[0] = "\x20\x40\x50\x70\xd0\xe0"[random.below(6)];
      bytes[1] = static_cast<char>(bytes.size() - 2);
    }
    std::string_view in = bytes;
    for (;;) {
      const auto before = in.size();
      auto packet = take_packet(random.below(2) == 0 ? Version::k5 : Version::k3_1_1, in);
      if (!packet || !*packet) break;
      ASSERT_LT(in.size(), before);
    }
  }
}

TEST(MqttUrl, NamesHostAndPort) {
  EXPECT_EQ("h", parse_url("tcp://h:1884").value().host);
  EXPECT_EQ("1884", parse_url("mqtt://h:1884/").value().port);
  EXPECT_EQ("1883", parse_url("localhost").value().port);
  EXPECT_EQ("::1", parse_url("tcp://[::1]:1883").value().host);
  EXPECT_EQ("1883", parse_url("tcp://[::1]").value().port);
}

TEST(MqttUrl, RefusesTheRest) {
  for (const char* bad : {"", "tcp://", ":1883", "ssl://h:8883", "h:x", "h:0", "h:70000", "tcp://h:"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

TEST(MqttPacket, APublishIsAsLargeAsItIsSaidToBe) {
  for (const auto version : {Version::k3_1_1, Version::k5})
    for (const int qos : {0, 1, 2})
      for (const std::size_t size : {0u, 110u, 125u, 16'300u, 16'400u, 2'097'152u}) {
        const std::string payload(size, 'x');
        std::string out;
        append_publish(version, "topic", payload, qos, 1, out);
        EXPECT_EQ(out.size(), publish_bytes(version, "topic", payload, qos)) << size;
      }
}

}  // namespace
}  // namespace tributary::mqtt
