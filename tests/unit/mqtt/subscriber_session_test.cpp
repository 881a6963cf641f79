#include "gateway/mqtt/subscriber_session.h"

#include <gtest/gtest.h>

#include "common/env/random.h"

namespace tributary {
namespace {

using namespace std::string_literals;

class SessionRecorder final : public MqttHandler {
 public:
  void on_messages(std::span<const MqttMessage> messages) override {
    calls.emplace_back();
    for (const auto& message : messages) {
      std::string text = fmt::format("{}={}", message.topic, as_string_view(message.payload));
      for (const auto& [name, value] : message.properties) text += fmt::format(" {}:{}", name, value);
      if (message.delivery.packet_id != 0) text += fmt::format(" #{}", message.delivery.packet_id);
      if (message.delivery.dup) text += " dup";
      calls.back().push_back(text);
    }
  }
  std::int64_t position() override { return static_cast<std::int64_t>(calls.size()); }
  void on_settled(std::span<const std::uint16_t> packet_ids, std::int64_t position) override {
    settled.emplace_back(std::vector<std::uint16_t>(packet_ids.begin(), packet_ids.end()), position);
  }
  void on_connected(bool session_present) override { sessions.push_back(session_present); }

  std::vector<std::vector<std::string>> calls;
  std::vector<bool> sessions;
  std::vector<std::pair<std::vector<std::uint16_t>, std::int64_t>> settled;
};

class SubscriberSessionTest : public testing::Test {
 protected:
  static SubscriberOptions options() {
    SubscriberOptions options;
    options.client_id = "g";
    options.subscriptions = {{"a/#", 1}, {"b", 0}};
    options.packet_bytes_max = 100'000;
    return options;
  }

  Result<std::size_t> receive(const std::string& bytes) { return session_.received(as_bytes(bytes)); }
  std::string written() { return std::exchange(session_.out(), {}); }
  void make_ready() {
    ASSERT_TRUE(receive("\x20\x03\x00\x00\x00"s + "\x90\x05\x00\x01\x00\x01\x00"s));
    ASSERT_TRUE(session_.ready());
    written();
  }
  static std::string publish(std::string_view topic, std::string_view payload, int qos, std::uint16_t packet_id) {
    std::string out;
    mqtt::append_publish(mqtt::Version::k5, topic, payload, qos, packet_id, out);
    return out;
  }

  const SubscriberOptions options_ = options();
  SessionRecorder recorder_;
  SubscriberSession session_{options_, recorder_};
};

// The byte strings are those of the specification's packet layouts, written by hand.
TEST_F(SubscriberSessionTest, ContinuesItsSessionForEverAndSaysItsLimits) {
  EXPECT_EQ(written(), "\x10\x1b\x00\x04MQTT\x05\x00\x00\x14\x0d\x11\xff\xff\xff\xff\x21\x01\xf4\x27\x00\x01\x86\xa0"
                       "\x00\x01g"s);
}

TEST_F(SubscriberSessionTest, SubscribesAfterEveryConnectWithoutRetainedMessages) {
  written();
  ASSERT_TRUE(receive("\x20\x06\x01\x00\x03\x13\x00\x0a"s));
  EXPECT_TRUE(session_.connected());
  EXPECT_FALSE(session_.ready());
  EXPECT_EQ(session_.keep_alive_s(), 10);
  EXPECT_EQ(recorder_.sessions, std::vector<bool>{true});
  EXPECT_EQ(written(), "\x82\x0d\x00\x01\x00\x00\x03" "a/#\x21\x00\x01" "b\x20"s);
  ASSERT_TRUE(receive("\x90\x05\x00\x01\x00\x01\x00"s));
  EXPECT_TRUE(session_.ready());
  EXPECT_TRUE(session_.lowered().empty());
}

TEST_F(SubscriberSessionTest, MessagesThatCameTogetherAreHandedOverTogetherAndThenAcknowledged) {
  make_ready();
  const auto first = publish("a/1", "x", 1, 7), second = publish("a/2", "y", 0, 0), third = publish("a/3", "z", 1, 8);
  const auto all = first + second + third;
  const auto cut = all.substr(0, all.size() - 1);
  EXPECT_EQ(receive(cut), first.size() + second.size());
  EXPECT_EQ(written(), "\x40\x02\x00\x07"s);
  EXPECT_EQ(receive(third), third.size());
  EXPECT_EQ(written(), "\x40\x02\x00\x08"s);
  EXPECT_EQ(recorder_.calls, (std::vector<std::vector<std::string>>{{"a/1=x #7", "a/2=y"}, {"a/3=z #8"}}));
}

TEST_F(SubscriberSessionTest, ABatchIsBounded) {
  make_ready();
  std::string bytes;
  for (std::uint16_t id = 1; id <= SubscriberSession::kBatchMax + 1; ++id) bytes += publish("a/1", "x", 1, id);
  EXPECT_EQ(receive(bytes), bytes.size());
  ASSERT_EQ(recorder_.calls.size(), 2u);
  EXPECT_EQ(recorder_.calls[0].size(), SubscriberSession::kBatchMax);
  EXPECT_EQ(recorder_.calls[1].size(), 1u);
  EXPECT_EQ(written().size(), 4 * (SubscriberSession::kBatchMax + 1) + 2);  // and a ping
}

TEST_F(SubscriberSessionTest, EachMessageHasItsOwnUserProperties) {
  make_ready();
  const auto with_properties =
      "\x3a\x32\x00\x03" "a/1" "\x00\x09"
      "\x29" "\x01\x01" "\x02\x00\x00\x00\x09" "\x03\x00\x01t" "\x08\x00\x01r" "\x09\x00\x01\xff" "\x0b\x81\x01"
      "\x26\x00\x01k\x00\x01v" "\x26\x00\x01k\x00\x00" "\x26\x00\x00\x00\x01w" "p"s;
  const auto bytes = with_properties + publish("a/2", "q", 1, 10) + with_properties;
  const auto taken = receive(bytes);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(recorder_.calls, (std::vector<std::vector<std::string>>{
                                 {"a/1=p k:v k: :w #9 dup", "a/2=q #10", "a/1=p k:v k: :w #9 dup"}}));
}

TEST_F(SubscriberSessionTest, WhatTheBrokerRefusesIsSaidWithItsReason) {
  EXPECT_EQ(receive("\x20\x03\x00\x87\x00"s).error().message, "the broker refused the connection: not authorized (0x87)");
  SubscriberSession subscribing(options_, recorder_);
  const auto refused = "\x20\x03\x00\x00\x00"s + "\x90\x05\x00\x01\x00\x01\x87"s;
  EXPECT_EQ(subscribing.received(as_bytes(refused)).error().message,
            "the broker refuses the subscription to b: not authorized (0x87)");
  make_ready();
  EXPECT_EQ(receive("\xe0\x01\x8e"s).error().code, Errc::kUnavailable);
}

TEST_F(SubscriberSessionTest, APingsAnswerSettlesWhatWasAcknowledgedBeforeIt) {
  make_ready();
  std::string bytes;
  for (std::uint16_t id = 1; id <= SubscriberSession::kSettleAfter; ++id) bytes += publish("a/1", "x", 1, id);
  ASSERT_TRUE(receive(bytes));
  EXPECT_TRUE(written().ends_with("\x40\x02\x00\x40\xc0\x00"s));
  EXPECT_FALSE(session_.has_unsettled());
  ASSERT_TRUE(receive(publish("a/1", "x", 1, 900) + publish("a/1", "qos 0", 0, 0)));
  EXPECT_TRUE(session_.has_unsettled());
  EXPECT_EQ(written(), "\x40\x02\x03\x84"s);
  EXPECT_TRUE(recorder_.settled.empty());
  ASSERT_TRUE(receive("\xd0\x00"s));
  ASSERT_EQ(recorder_.settled.size(), 1u);
  EXPECT_EQ(recorder_.settled[0].first.size(), SubscriberSession::kSettleAfter);
  EXPECT_EQ(recorder_.settled[0].second, 1);  // one call so far
  session_.ping();
  EXPECT_EQ(written(), "\xc0\x00"s);
  ASSERT_TRUE(receive("\xd0\x00\xd0\x00"s));  // and one too many
  ASSERT_EQ(recorder_.settled.size(), 2u);
  EXPECT_EQ(recorder_.settled[1].first, std::vector<std::uint16_t>{900});
}

TEST_F(SubscriberSessionTest, WhatIsRetainedIsAcknowledgedAndNoReading) {
  make_ready();
  auto retained = publish("a/2", "old", 1, 8);
  retained[0] = static_cast<char>(retained[0] | 1);
  const auto bytes = publish("a/1", "x", 1, 7) + retained + publish("a/3", "z", 1, 9);
  ASSERT_TRUE(receive(bytes));
  EXPECT_EQ(recorder_.calls, (std::vector<std::vector<std::string>>{{"a/1=x #7"}, {"a/3=z #9"}}));
  EXPECT_EQ(written(), "\x40\x02\x00\x07\x40\x02\x00\x08\x40\x02\x00\x09"s);
}

TEST_F(SubscriberSessionTest, ASessionThatTheBrokerForgetsSoonerThanAskedForIsNoted) {
  ASSERT_TRUE(receive("\x20\x08\x00\x00\x05\x11\x00\x00\x0e\x10"s));
  EXPECT_EQ(session_.expires(), 3600u);
  SubscriberSession as_asked(options_, recorder_);
  const auto never = "\x20\x08\x00\x00\x05\x11\xff\xff\xff\xff"s;
  ASSERT_TRUE(as_asked.received(as_bytes(never)));
  EXPECT_FALSE(as_asked.expires());
}

TEST_F(SubscriberSessionTest, ALowerQosThanAskedForIsNoted) {
  ASSERT_TRUE(receive("\x20\x03\x00\x00\x00"s + "\x90\x05\x00\x01\x00\x00\x00"s));
  EXPECT_EQ(session_.lowered(), std::vector<std::string>{"a/#"});
}

TEST_F(SubscriberSessionTest, WhatABrokerMustNotSendEndsTheConnectionAfterWhatWasGood) {
  const auto good = publish("a/1", "x", 1, 7);
  std::string too_long = "\x30";
  too_long += "\xff\xff\xff\x7f"s;
  for (const auto& bad : std::vector<std::string>{
           publish("a/1", "x", 2, 8),                     // QoS 2
           publish("a/1", "x", 1, 0),                     // packet id 0
           "\x36\x07\x00\x01" "a\x00\x01\x00x"s,          // QoS 3
           "\x30\x04\x00\x00\x00x"s,                      // no topic
           "\x30\x07\x00\x01" "a\x03\x23\x00\x01"s,       // a topic alias
           "\x30\x05\x00\x01" "a\x09x"s,                  // properties beyond the packet
           "\x20\x03\x00\x00\x00"s,                       // a second CONNACK
           "\x90\x05\x00\x01\x00\x01\x00"s,               // a second SUBACK
           "\x40\x02\x00\x01"s,                           // PUBACK: nothing was published
           "\x10\x00"s, "\xc0\x00"s, "\xf0\x00"s,         // CONNECT, PINGREQ, AUTH
           "\x30\xff\xff\xff\xff\x01"s,                   // a length of five bytes
           too_long}) {
    SubscriberSession session(options_, recorder_);
    const auto begun = "\x20\x03\x00\x00\x00"s + "\x90\x05\x00\x01\x00\x01\x00"s;
    ASSERT_TRUE(session.received(as_bytes(begun)));
    recorder_.calls.clear();
    const auto bytes = good + bad;
    const auto taken = session.received(as_bytes(bytes));
    ASSERT_FALSE(taken) << testing::PrintToString(bad);
    EXPECT_EQ(taken.error().code, Errc::kCorrupt) << testing::PrintToString(bad);
    EXPECT_EQ(recorder_.calls.size(), 1u) << testing::PrintToString(bad);
  }
  EXPECT_FALSE(SubscriberSession(options_, recorder_).received(as_bytes(good)));  // before CONNACK
}

TEST_F(SubscriberSessionTest, GarbageAndChangedPacketsNeverDoMoreThanEndTheConnection) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  const auto good = "\x20\x03\x00\x00\x00"s + "\x90\x05\x00\x01\x00\x01\x00"s + publish("a/1", "payload", 1, 7) +
                    "\x3a\x12\x00\x03" "a/1" "\x00\x09" "\x07\x26\x00\x01k\x00\x01v" "abc"s + "\xd0\x00"s;
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    for (std::uint64_t changes = random.below(4) + 1; changes > 0; --changes) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    // At the end of an exactly sized allocation, where a sanitizer sees what reads too far.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    SubscriberSession session(options_, recorder_);
    if (const auto taken = session.received(exact)) {
      EXPECT_LE(*taken, exact.size());
    }
    recorder_.calls.clear();
  }
}

}  // namespace
}  // namespace tributary
