#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "firmware-sim/device/reading.h"
#include "firmware-sim/device/simulated_device.h"

namespace tributary {
namespace {

constexpr WallMs kStart = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

std::string values_of(SimulatedDevice& device, WallMs now) {
  std::string out;
  device.append_values(now, out);
  return out;
}

TEST(SimulatedDevice, TheSameSeedGivesTheSameValues) {
  SimulatedDevice a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const auto values = values_of(a, kStart + i * 1000);
    ASSERT_EQ(values, values_of(b, kStart + i * 1000)) << i;
    differs = differs || values != values_of(c, kStart + i * 1000);
  }
  EXPECT_TRUE(differs);
}

TEST(SimulatedDevice, AddingDevicesChangesNone) {
  SimulatedValues few(2, 1), many(50, 1);
  std::string a, b;
  ASSERT_TRUE(few.append_values(1, kStart, a));
  ASSERT_TRUE(many.append_values(1, kStart, b));
  EXPECT_EQ(a, b);
}

TEST(SimulatedDevice, ValuesAreJsonWithinTheSensorsRangeAndSometimesDropOut) {
  SimulatedDevice device(3);
  int nulls = 0;
  for (int i = 0; i < 24 * 3600; i += 5) {
    const auto values = nlohmann::json::parse(values_of(device, kStart + i * 1000));
    ASSERT_EQ(5u, values.size());
    if (values["temperature"].is_null()) ++nulls;
    else EXPECT_THAT(values["temperature"].get<double>(), testing::AllOf(testing::Ge(-40), testing::Le(85)));
    EXPECT_THAT(values["humidity"].get<double>(), testing::AllOf(testing::Ge(0), testing::Le(100)));
    EXPECT_THAT(values["battery"].get<double>(), testing::AllOf(testing::Ge(2.5), testing::Le(4.2)));
  }
  EXPECT_GT(nulls, 0);
  EXPECT_LT(nulls, 24 * 720 / 20);
}

TEST(Signal, FollowsTheDay) {
  Signal signal({.base = 20, .daily_amplitude = 5, .peak_hour = 15, .low = -100, .high = 100}, 1);
  const WallMs midnight = kStart - kStart % (24 * kHour);
  const double night = *signal.at(midnight + 3 * kHour);
  const double afternoon = *signal.at(midnight + 15 * kHour);
  EXPECT_NEAR(10, afternoon - night, 0.01);
}

TEST(Signal, ABurstRisesAndDecays) {
  Signal signal({.burst_size = 100, .bursts_per_hour = 3600, .burst_seconds = 1, .low = -1000, .high = 1e6}, 1);
  (void)signal.at(kStart);
  EXPECT_GT(*signal.at(kStart + 1000), 40);  // one burst a second on average; certain at this rate
  Signal calm({.burst_size = 100, .bursts_per_hour = 0, .burst_seconds = 1, .low = -1000, .high = 1e6}, 1);
  EXPECT_EQ(0, *calm.at(kStart + 1000));
}

TEST(Signal, AClockThatJumpsDoesNotBreakIt) {
  SimulatedDevice device(9);
  for (WallMs now : {kStart, kStart - 1'000'000, WallMs{0}, kStart + 1'000'000'000'000, kStart})
    EXPECT_TRUE(nlohmann::json::accept(values_of(device, now))) << now;
}

TEST(Reading, IsTheDocumentedJson) {
  std::string out = "leftover";
  build_reading("dev-0007", 123, kStart, R"({"temperature":21.53})", 0, out);
  EXPECT_EQ(R"({"device":"dev-0007","seq":123,"ts":1700000000000,"values":{"temperature":21.53}})", out);
}

TEST(Reading, IsPaddedToExactlyTheBytesAskedFor) {
  std::string bare, out;
  build_reading("dev-0007", 123, kStart, "{}", 0, bare);
  for (std::size_t bytes = 0; bytes < 400; ++bytes) {
    build_reading("dev-0007", 123, kStart, "{}", bytes, out);
    ASSERT_EQ(bytes >= bare.size() + 9 ? bytes : bare.size(), out.size());
    ASSERT_TRUE(nlohmann::json::accept(out)) << out;
  }
}

TEST(Reading, ASimulatedOneTakesBetween120And200Bytes) {
  SimulatedDevice device(1);
  std::string out;
  build_reading("dev-0007", 123'456, kStart, values_of(device, kStart), 0, out);
  EXPECT_GE(out.size(), 120u);
  EXPECT_LE(out.size(), 200u);
}

TEST(DeviceName, HasFourDigitsOrMore) {
  EXPECT_EQ("dev-0007", device_name("dev-", 7));
  EXPECT_EQ("x12345", device_name("x", 12345));
}

TEST(Topic, PutsTheDeviceInEveryPlace) {
  EXPECT_EQ("sensors/dev-0001/env", topic_of("sensors/{device}/env", "dev-0001").value());
  EXPECT_EQ("a/a", topic_of("{device}/{device}", "a").value());
}

TEST(Topic, RefusesWhatCannotBePublishedTo) {
  for (const char* bad : {"sensors/env", "sensors/{device}/#", "+/{device}", ""})
    EXPECT_EQ(Errc::kInvalidArgument, topic_of(bad, "dev").error().code) << bad;
  EXPECT_EQ(Errc::kInvalidArgument, topic_of(std::string("{device}").append(70'000, 'x'), "dev").error().code);
}

}  // namespace
}  // namespace tributary
