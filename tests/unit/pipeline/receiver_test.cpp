#include "gateway/pipeline/receiver.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/temp_folder.h"

namespace tributary {
namespace {

class ReceiverTest : public testing::Test {
 protected:
  void send(std::string_view topic, std::string_view payload, Delivery delivery = {}) {
    const MqttMessage message{topic, as_bytes(payload), properties_, delivery};
    receiver_.on_messages({&message, 1});
  }
  std::size_t stored() { return intake_->level().unsealed_readings; }

  test::TempFolder folder_{"/dev/shm"};
  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value()}).value();
  std::unique_ptr<Intake> intake_ = Intake::open({folder_ / "intake", false}).value();
  test::TempFolder flash_folder_;
  std::unique_ptr<FlashBuffer> buffer_ = FlashBuffer::open({flash_folder_ / "flash"}).value();
  Pressure pressure_{{}, *intake_, *buffer_, metrics_.mqtt_paused, [](bool) {}};
  std::vector<UserProperty> properties_;
  Receiver receiver_{{1000}, routes_, *intake_, pressure_, clock_, metrics_, [](const Error&) { abort(); }};
};

TEST_F(ReceiverTest, AReadingIsStoredUnderItsRoutesTopicAndKey) {
  send("sensors/d7/temp", "21.5", {7, false});
  ASSERT_TRUE(intake_->read(1, [&](ReadingId, const ReadingView& reading) {
    EXPECT_EQ(reading.topic, "readings");
    EXPECT_EQ(reading.key, "d7");
    EXPECT_EQ(reading.mqtt_topic, "sensors/d7/temp");
    EXPECT_EQ(reading.received_ms, clock_.wall_now_ms());
    return true;
  }));
  EXPECT_EQ(metrics_.received.value(), 1u);
  EXPECT_EQ(metrics_.received_bytes.value(), 4u);
}

TEST_F(ReceiverTest, WhatCannotBeTakenIsCountedByReasonAndDisturbsNothing) {
  send("elsewhere/d7", "x");
  send("sensors/d7/\xff", "x");
  send("sensors/d7/temp", std::string(1001, 'x'));
  const std::string long_value(1000, 'p');
  properties_ = {{"name", long_value}};
  send("sensors/d7/temp", "x");
  properties_.clear();
  send("sensors/d7/temp", "");
  send("sensors/d7/temp", std::string(1000 - std::strlen("d7sensors/d7/temp"), 'x'));
  EXPECT_EQ(metrics_.rejected_no_route.value(), 1u);
  EXPECT_EQ(metrics_.rejected_not_utf8.value(), 1u);
  EXPECT_EQ(metrics_.rejected_too_large.value(), 2u);
  EXPECT_EQ(stored(), 2u);
}

TEST_F(ReceiverTest, EmptyUserPropertiesAndLongTopicsAreNotOutsideTheLimit) {
  properties_.resize(101);
  send("sensors/d7/temp", "");
  properties_.clear();
  send("sensors/" + std::string(480, 'd') + "/temp", std::string(10, 'x'));
  EXPECT_EQ(stored(), 1u);
  send("sensors/" + std::string(500, 'd') + "/temp", std::string(10, 'x'));  // the device is the key, too
  EXPECT_EQ(metrics_.rejected_too_large.value(), 2u);
  EXPECT_EQ(stored(), 1u);
}

TEST_F(ReceiverTest, ARedeliveryIsCountedOnceAndANewSessionForgets) {
  send("sensors/a/t", "x", {1, false});
  send("sensors/a/t", "x", {1, true});
  EXPECT_EQ(stored(), 1u);
  EXPECT_EQ(metrics_.redelivered.value(), 1u);
  receiver_.on_connected(true);
  send("sensors/a/t", "x", {1, true});
  EXPECT_EQ(stored(), 1u);
  receiver_.on_connected(false);
  send("sensors/a/t", "x", {1, true});
  EXPECT_EQ(stored(), 2u);
}

}  // namespace
}  // namespace tributary
