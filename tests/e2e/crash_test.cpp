// Promise 1: gateway and broker are killed at random moments, the MQTT connection is cut, and no reading
// is missing, doubled or out of order.
//
//   TRIBUTARY_SEED           repeats the moments of a run
//   TRIBUTARY_CRASH_SECONDS  how long devices publish (45); kills stay one per 2 s and program

#include <algorithm>

#include "common/env/random.h"
#include "tests/e2e/site.h"

namespace tributary::test {
namespace {

using Clock = std::chrono::steady_clock;

enum class Blow { kKillGateway, kKillBroker, kCutMqtt };

struct Moment {
  std::chrono::milliseconds at;
  Blow blow;
};

/// `kills` of each program, half as many cuts, at uniformly random moments of the run.
std::vector<Moment> draw_moments(Random& random, std::chrono::milliseconds span, int kills) {
  std::vector<Moment> moments;
  const auto draw = [&](Blow blow, int count) {
    for (int i = 0; i < count; ++i)
      moments.push_back({std::chrono::milliseconds(random.below(static_cast<std::uint64_t>(span.count()))), blow});
  };
  draw(Blow::kKillGateway, kills);
  draw(Blow::kKillBroker, kills);
  draw(Blow::kCutMqtt, kills / 2);
  std::sort(moments.begin(), moments.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  return moments;
}

TEST(Crash, KillsOfGatewayAndBrokerAndCutsOfMqttLoseDoubleAndReorderNothing) {
  constexpr int kDevices = 20;
  constexpr double kRatePerDevice = 100;  // 2,000 readings/s in all
  const auto seconds = static_cast<int>(option_of_test("TRIBUTARY_CRASH_SECONDS", 45));
  const int kills = std::max(1, seconds * 20 / 45);
  const auto seed = seed_of_test();
  SeededRandom random(seed);

  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(kDevices, kRatePerDevice, seconds, seed);
  const auto begin = Clock::now();
  // The last moment leaves the devices publishing for a while after it.
  for (const auto& moment : draw_moments(random, std::chrono::seconds(seconds) - 2s, kills)) {
    std::this_thread::sleep_until(begin + moment.at);  // the moment is what is tested
    switch (moment.blow) {
      case Blow::kKillGateway:
        EXPECT_TRUE(site.gateway.running()) << "ended by itself\n" << site.gateway.log();
        site.gateway.kill();
        site.gateway.start();
        break;
      case Blow::kKillBroker:
        EXPECT_TRUE(site.broker.running()) << "ended by itself\n" << site.broker.log();
        site.broker.kill();
        site.broker.start();
        break;
      case Blow::kCutMqtt: site.mqtt_line.cut(); break;
    }
  }
  EXPECT_EQ(fleet.wait(std::chrono::seconds(seconds) + 60s), 0) << site.fleet_log();
  ASSERT_TRUE(site.broker.wait_ready(60s)) << site.broker.log();

  const auto verdict = verify_settled(site.broker, site.ledger(), 60s);
  EXPECT_TRUE(verdict.ok()) << "seed " << seed << "\n" << verdict.text;
  EXPECT_GT(verdict.acknowledged, kDevices * kRatePerDevice * seconds * 0.8) << site.fleet_log();
  std::fprintf(stderr, "%lld readings, %d kills of each, %d cuts: %s", static_cast<long long>(verdict.acknowledged),
               kills, kills / 2, verdict.text.c_str());
}

// After a reconnection Mosquitto 2.0 has more in flight than the receive maximum allows: all that it has queued.
TEST(Crash, AGatewayThatIsKilledWhileItDrainsALargeQueueDoublesNothing) {
  Site site;
  const auto seed = seed_of_test();
  SeededRandom random(seed);
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  site.gateway.kill();
  auto fleet = site.start_devices(20, 500, 4);
  ASSERT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  for (int i = 0; i < 12; ++i) {
    site.gateway.start();
    const auto enough = static_cast<double>(random.below(2000));
    const auto taken = [&] {
      return site.gateway.metric("tributary_gateway_readings_total").value_or(-1) +
                 site.gateway.metric("tributary_gateway_redelivered_total").value_or(0) >= enough;
    };
    ASSERT_TRUE(eventually(20s, taken, 1ms)) << site.gateway.log();
    if (i % 2 == 1) site.mqtt_line.cut();
    site.gateway.kill();
  }
  site.gateway.start();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << "seed " << seed << "\n" << verdict.text;
}

}  // namespace
}  // namespace tributary::test
