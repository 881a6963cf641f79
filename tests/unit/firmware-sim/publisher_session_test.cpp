#include "firmware-sim/mqtt/publisher_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/env/random.h"

namespace tributary::mqtt {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// Drives a 3.1.1 session by hand; what it sends is shown as words: "publish 3 dup (m2)", "pubrel 3".
class PublisherSessionTest : public testing::Test {
 protected:
  struct Ended {
    std::uint64_t token;
    Outcome outcome;
    bool resent;
    bool operator==(const Ended&) const = default;
  };

  void connect(bool session_present, std::uint16_t receive_maximum = 65'535) {
    session_.connected({.type = PacketType::kConnack, .session_present = session_present,
                        .receive_maximum = receive_maximum});
  }
  void publish(int qos, std::uint64_t token) { session_.publish("t", fmt::format("m{}", token), qos, token); }
  void acknowledge(PacketType type, std::uint16_t id, std::uint8_t reason = 0) {
    session_.acknowledged({.type = type, .packet_id = id, .reason = reason});
  }
  std::vector<std::string> sent() {
    std::vector<std::string> words;
    std::string_view in = session_.out();
    const auto u16 = [&](std::size_t at) {
      return static_cast<unsigned char>(in[at]) << 8 | static_cast<unsigned char>(in[at + 1]);
    };
    while (!in.empty()) {
      const auto first = static_cast<unsigned char>(in[0]);
      const auto length = static_cast<std::size_t>(in[1]);
      if (first >> 4 == 6) words.push_back(fmt::format("pubrel {}", u16(2)));
      else if ((first & 6) == 0) words.push_back(fmt::format("publish ({})", in.substr(5, length - 3)));
      else words.push_back(fmt::format("publish {}{} ({})", u16(5), (first & 8) != 0 ? " dup" : "", in.substr(7, length - 5)));
      in.remove_prefix(2 + length);
    }
    session_.out().clear();
    return words;
  }

  std::vector<Ended> ended_;
  std::function<void()> on_each_ = [] {};
  PublisherSession session_{Version::k3_1_1, [this](std::uint64_t token, Outcome outcome, bool resent) {
                              ended_.push_back({token, outcome, resent});
                              on_each_();
                            }};
};

TEST_F(PublisherSessionTest, QoS1IsPublishedOnceAndEndsWithPuback) {
  connect(false);
  publish(1, 10);
  publish(1, 11);
  EXPECT_THAT(sent(), ElementsAre("publish 1 (m10)", "publish 2 (m11)"));
  acknowledge(PacketType::kPuback, 2);
  acknowledge(PacketType::kPuback, 1);
  EXPECT_THAT(ended_, ElementsAre(Ended{11, Outcome::kAcknowledged, false}, Ended{10, Outcome::kAcknowledged, false}));
  EXPECT_EQ(0u, session_.in_flight());
}

TEST_F(PublisherSessionTest, QoS0IsNotInFlight) {
  connect(false);
  publish(0, 0);
  EXPECT_THAT(sent(), ElementsAre("publish (m0)"));
  EXPECT_EQ(0u, session_.in_flight());
}

TEST_F(PublisherSessionTest, AKeptSessionSendsAgainInOrderWithDupAndTheSameIds) {
  connect(false);
  for (std::uint64_t token : {1, 2, 3}) publish(1, token);
  acknowledge(PacketType::kPuback, 2);
  sent();
  session_.connection_lost();
  connect(true);
  publish(1, 4);
  EXPECT_THAT(sent(), ElementsAre("publish 1 dup (m1)", "publish 3 dup (m3)", "publish 4 (m4)"));
  for (std::uint16_t id : {1, 3, 4}) acknowledge(PacketType::kPuback, id);
  EXPECT_THAT(ended_, ElementsAre(Ended{2, Outcome::kAcknowledged, false}, Ended{1, Outcome::kAcknowledged, true},
                                  Ended{3, Outcome::kAcknowledged, true}, Ended{4, Outcome::kAcknowledged, false}));
}

TEST_F(PublisherSessionTest, ALostSessionGivesUpWhatWasInFlightAndSendsNothingAgain) {
  connect(false);
  publish(1, 1);
  publish(2, 2);
  session_.connection_lost();
  EXPECT_THAT(sent(), IsEmpty());
  connect(false);
  EXPECT_THAT(sent(), IsEmpty());
  EXPECT_THAT(ended_, ElementsAre(Ended{1, Outcome::kUnknown, true}, Ended{2, Outcome::kUnknown, true}));
}

TEST_F(PublisherSessionTest, PublishingFromAnOutcomeIsAllowed) {
  connect(false);
  publish(1, 1);
  publish(1, 2);
  session_.connection_lost();
  on_each_ = [this] { if (ended_.size() <= 2) publish(1, 10 + ended_.size()); };
  connect(false);
  EXPECT_EQ(2u, ended_.size());
  EXPECT_THAT(sent(), ElementsAre("publish 3 (m11)", "publish 4 (m12)"));
  acknowledge(PacketType::kPuback, 3);
  EXPECT_EQ((Ended{11, Outcome::kAcknowledged, false}), ended_.back());
}

TEST_F(PublisherSessionTest, QoS2EndsWithPubcompOnly) {
  connect(false);
  publish(2, 5);
  sent();
  acknowledge(PacketType::kPuback, 1);
  acknowledge(PacketType::kPubcomp, 1);
  EXPECT_THAT(ended_, IsEmpty());
  acknowledge(PacketType::kPubrec, 1);
  EXPECT_THAT(sent(), ElementsAre("pubrel 1"));
  acknowledge(PacketType::kPubcomp, 1);
  EXPECT_THAT(ended_, ElementsAre(Ended{5, Outcome::kAcknowledged, false}));
}

TEST_F(PublisherSessionTest, QoS2GoesOnWhereItWasAfterAReconnection) {
  connect(false);
  for (std::uint64_t token : {1, 2, 3}) publish(2, token);
  acknowledge(PacketType::kPubrec, 1);
  sent();
  session_.connection_lost();
  connect(true);
  EXPECT_THAT(sent(), ElementsAre("pubrel 1", "publish 2 dup (m2)", "publish 3 dup (m3)"));
  acknowledge(PacketType::kPubcomp, 1, 0x92);  // it had been complete already
  EXPECT_THAT(ended_, ElementsAre(Ended{1, Outcome::kAcknowledged, true}));
}

TEST_F(PublisherSessionTest, AFailureCodeIsARefusal) {
  connect(false);
  publish(1, 1);
  publish(2, 2);
  acknowledge(PacketType::kPuback, 1, 0x87);
  acknowledge(PacketType::kPubrec, 2, 0x97);
  EXPECT_THAT(ended_, ElementsAre(Ended{1, Outcome::kRefused, false}, Ended{2, Outcome::kRefused, false}));
}

TEST_F(PublisherSessionTest, WithoutASubscriberWhatIsAcknowledgedWasUnheard) {
  connect(false);
  publish(1, 1);
  publish(2, 2);
  acknowledge(PacketType::kPuback, 1, 0x10);
  acknowledge(PacketType::kPubrec, 2, 0x10);
  acknowledge(PacketType::kPubcomp, 2);
  EXPECT_THAT(ended_, ElementsAre(Ended{1, Outcome::kUnheard, false}, Ended{2, Outcome::kUnheard, false}));
}

TEST_F(PublisherSessionTest, AnAcknowledgementOfNothingIsIgnored) {
  connect(false);
  publish(1, 1);
  for (std::uint16_t id : {0, 2, 65'535}) acknowledge(PacketType::kPuback, id);
  acknowledge(PacketType::kPubrec, 1);
  EXPECT_THAT(ended_, IsEmpty());
  EXPECT_EQ(1u, session_.in_flight());
}

TEST_F(PublisherSessionTest, TheReceiveMaximumBoundsTheWindow) {
  connect(false, 2);
  publish(1, 1);
  EXPECT_TRUE(session_.has_room());
  publish(1, 2);
  EXPECT_FALSE(session_.has_room());
  acknowledge(PacketType::kPuback, 1);
  EXPECT_TRUE(session_.has_room());
}

TEST_F(PublisherSessionTest, PacketIdsAreNotReusedWhileInFlight) {
  connect(false);
  publish(1, 0);  // stays in flight under packet id 1
  for (std::uint64_t token = 1; token <= 200'000; ++token) {
    publish(1, token);
    session_.out().clear();
    acknowledge(PacketType::kPuback, static_cast<std::uint16_t>(2 + (token - 1) % 65'534));
    ASSERT_EQ(1u, session_.in_flight()) << token;
  }
}

TEST_F(PublisherSessionTest, AtRandomEveryMessageEndsOnce) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  connect(false);
  std::vector<bool> seen;
  std::uint64_t next = 0;
  std::deque<std::uint16_t> to_ack;
  for (int step = 0; step < 20'000; ++step) {
    const auto dice = random.below(100);
    if (dice < 50 && session_.in_flight() < 20) {
      publish(1, next++);
    } else if (dice < 97) {
      for (const auto& word : sent())
        to_ack.push_back(static_cast<std::uint16_t>(std::stoi(word.substr(8))));
      if (!to_ack.empty()) {
        acknowledge(PacketType::kPuback, to_ack.front());
        to_ack.pop_front();
      }
    } else {
      session_.connection_lost();
      to_ack.clear();
      connect(random.below(4) != 0);
    }
  }
  seen.resize(next);
  for (const auto& end : ended_) {
    ASSERT_FALSE(seen[end.token]);
    seen[end.token] = true;
  }
  EXPECT_EQ(next, ended_.size() + session_.in_flight());
}

}  // namespace
}  // namespace tributary::mqtt
