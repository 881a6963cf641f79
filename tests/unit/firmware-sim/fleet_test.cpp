#include "firmware-sim/fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "common/bytes/crc32c.h"
#include "common/telemetry/log.h"
#include "firmware-sim/ledger/ledger.h"
#include "tests/support/eventually.h"
#include "tests/support/network.h"
#include "tests/support/tcp_proxy.h"
#include "tests/unit/firmware-sim/mqtt_inbox.h"

namespace tributary {
namespace {

using test::Mosquitto;
using test::MqttInbox;
using test::TempFolder;
using namespace std::chrono_literals;

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    set_log_level(LogLevel::kError);
    options_.devices = 4;
    options_.rate = 0;
    options_.count = 100;
    options_.seed = 5;
    options_.connect_timeout = 20s;
    options_.ledger_path = folder_ / "ledger.db";
  }

  Result<FleetStats> run() {
    auto fleet = Fleet::create(options_);
    if (!fleet) return tl::unexpected<Error>(fleet.error());
    return (*fleet)->run();
  }
  FleetStats run(const Mosquitto& mosquitto) {
    options_.mqtt_url = mosquitto.url();
    auto stats = run();
    EXPECT_TRUE(stats) << stats.error().message;
    return stats.value_or(FleetStats{});
  }

  /// What was delivered is, per device, seq 1 to `count` once and in order, and what the ledger has.
  void expect_exactly_the_ledger(const std::vector<MqttInbox::Message>& messages) {
    auto ledger = LedgerReader::open(options_.ledger_path);
    ASSERT_TRUE(ledger) << ledger.error().message;
    EXPECT_EQ(static_cast<std::int64_t>(messages.size()), (*ledger)->count().value());
    std::map<std::string, std::int64_t> last;
    for (const auto& message : messages) {
      const auto reading = nlohmann::json::parse(message.payload);
      const auto device = reading["device"].get<std::string>();
      ASSERT_EQ(++last[device], reading["seq"].get<std::int64_t>()) << device;
      const auto* known = (*ledger)->find_device(device);
      ASSERT_NE(nullptr, known);
      EXPECT_EQ(known->topic, message.topic);
      const auto entry = (*ledger)->find(known->id, last[device]).value();
      ASSERT_TRUE(entry) << device << " " << last[device];
      EXPECT_EQ(crc32c(as_bytes(message.payload)), entry->payload_crc32c);
      EXPECT_EQ(message.payload.size(), entry->payload_bytes);
      EXPECT_EQ(reading["ts"].get<std::int64_t>(), entry->published_ms);
      EXPECT_LE(entry->published_ms, entry->acked_ms);
    }
  }

  TempFolder folder_;
  FleetOptions options_;
};

class FleetOverEveryProtocol : public FleetTest, public testing::WithParamInterface<std::pair<int, int>> {};

TEST_P(FleetOverEveryProtocol, DeliversEachReadingOnceInOrderAndTheLedgerKnowsIt) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  std::tie(options_.mqtt_version, options_.qos) = GetParam();
  const auto stats = run(mosquitto);
  EXPECT_EQ(400, stats.published);
  EXPECT_EQ(400, stats.acked);
  EXPECT_EQ(0, stats.in_flight + stats.unknown + stats.refused + stats.skipped + stats.connections_lost);
  EXPECT_EQ(4, stats.connections);
  expect_exactly_the_ledger(inbox.collect(400));
}

INSTANTIATE_TEST_SUITE_P(VersionAndQos, FleetOverEveryProtocol,
                         testing::Values(std::pair(5, 1), std::pair(5, 2), std::pair(3, 1), std::pair(3, 2)));

TEST_F(FleetTest, QoS0PublishesEverythingAndNeedsNoLedger) {
  Mosquitto mosquitto(folder_.path(), "queue_qos0_messages true");
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.qos = 0;
  options_.ledger_path.clear();
  EXPECT_EQ(400, run(mosquitto).published);
  EXPECT_EQ(400u, inbox.collect(400).size());
}

TEST_F(FleetTest, AFloodAtQoS0Ends) {
  Mosquitto mosquitto(folder_.path());
  options_.qos = 0;
  options_.devices = 20;
  options_.count = 0;
  options_.run_for = 999ms;  // ends as the timer of every second expires
  options_.ledger_path.clear();
  EXPECT_GT(run(mosquitto).published, 0);
}

TEST_F(FleetTest, DevicesShareConnectionsBeyondTheCap) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.devices = 30;
  options_.count = 20;
  options_.connections = 7;
  const auto stats = run(mosquitto);
  EXPECT_EQ(7, stats.connections);
  expect_exactly_the_ledger(inbox.collect(600));
}

TEST_F(FleetTest, WhatNobodyIsSubscribedToIsInNoLedger) {
  Mosquitto mosquitto(folder_.path());
  const auto stats = run(mosquitto);
  EXPECT_EQ(400, stats.published);
  EXPECT_EQ(400, stats.unheard);
  EXPECT_EQ(0, stats.acked);
  EXPECT_EQ(0, (*LedgerReader::open(options_.ledger_path))->count().value());
}

TEST_F(FleetTest, TheRateIsKept) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.devices = 10;
  options_.rate = 20;
  options_.count = 0;
  options_.run_for = 2s;
  const auto stats = run(mosquitto);
  EXPECT_NEAR(400, static_cast<double>(stats.published), 20);
  EXPECT_NEAR(2, stats.seconds, 0.5);
  EXPECT_EQ(stats.published, stats.acked);
}

TEST_F(FleetTest, ARecordingIsDealtOutWithItsTextByteForByte) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  std::ofstream(folder_ / "r.ndjson") << "{\"ort\":\"Göteborg\"}\n{\"ort\":\"北京\"}\nbad\n{\"n\":1.50}\n";
  options_.replay_path = folder_ / "r.ndjson";
  options_.devices = 1;
  options_.count = 6;
  EXPECT_EQ(1, run(mosquitto).malformed);
  std::vector<std::string> values;
  for (const auto& message : inbox.collect(6)) {
    const auto at = message.payload.find("\"values\":") + 9;
    values.push_back(message.payload.substr(at, message.payload.size() - at - 1));
  }
  EXPECT_THAT(values, testing::ElementsAre("{\"ort\":\"Göteborg\"}", "{\"ort\":\"北京\"}", "{\"n\":1.50}",
                                           "{\"ort\":\"Göteborg\"}", "{\"ort\":\"北京\"}", "{\"n\":1.50}"));
}

/// Runs a fleet through a proxy that cuts all connections `times` times, in the middle of traffic: between
/// publications and their acknowledgements.
FleetStats run_with_cuts(FleetOptions options, const Mosquitto& mosquitto, int times) {
  test::TcpProxy proxy(mosquitto.port());
  options.mqtt_url = fmt::format("tcp://127.0.0.1:{}", proxy.port());
  auto fleet = Fleet::create(options);
  EXPECT_TRUE(fleet) << fleet.error().message;
  std::atomic<bool> ended{false};
  std::thread cutter([&] {
    for (int i = 0; i < times && !ended; ++i) {
      const auto devices = static_cast<std::size_t>(options.devices);
      if (!test::eventually(10s, [&] { return ended || proxy.connections() >= devices; }, 1ms)) break;
      const auto enough = proxy.bytes_total() + 5'000 + 3'001 * static_cast<std::uint64_t>(i);
      if (!test::eventually(10s, [&] { return ended || proxy.bytes_total() >= enough; }, 1ms)) break;
      proxy.cut();
    }
  });
  auto stats = (*fleet)->run();
  ended = true;
  cutter.join();
  EXPECT_TRUE(stats) << stats.error().message;
  return stats.value_or(FleetStats{});
}

TEST_F(FleetTest, AtQoS2CutConnectionsLoseDoubleAndReorderNothing) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.qos = 2;
  options_.rate = 500;
  options_.count = 500;
  const auto stats = run_with_cuts(options_, mosquitto, 5);
  EXPECT_GE(stats.connections_lost, 4);
  EXPECT_EQ(2000, stats.acked);
  EXPECT_EQ(0, stats.unknown);
  expect_exactly_the_ledger(inbox.collect(2000));
}

TEST_F(FleetTest, AtQoS1CutConnectionsLoseNothingAndDoubleOnlyWhatTheLedgerMarks) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.rate = 500;
  options_.count = 500;
  const auto stats = run_with_cuts(options_, mosquitto, 5);
  EXPECT_EQ(2000, stats.acked);
  auto ledger = LedgerReader::open(options_.ledger_path);
  ASSERT_TRUE(ledger);
  std::map<std::string, std::int64_t> first_seen_last;
  std::map<std::pair<std::string, std::int64_t>, int> times;
  for (const auto& message : inbox.collect(2000 + stats.resent, 3)) {
    const auto reading = nlohmann::json::parse(message.payload);
    const auto device = reading["device"].get<std::string>();
    const auto seq = reading["seq"].get<std::int64_t>();
    if (++times[{device, seq}] == 1) {
      ASSERT_EQ(++first_seen_last[device], seq) << "first occurrences are in order";
    }
  }
  EXPECT_EQ(2000u, times.size());
  for (const auto& [key, count] : times) {
    if (count == 1) continue;
    const auto id = (*ledger)->find_device(key.first)->id;
    EXPECT_TRUE((*ledger)->find(id, key.second).value()->resent) << key.first << " " << key.second;
  }
}

TEST_F(FleetTest, ABrokerThatForgotTheSessionMakesReadingsUnknownAndTheRunGoesOn) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.mqtt_url = mosquitto.url();
  options_.count = 0;
  options_.in_flight = 50;
  auto fleet = Fleet::create(options_);
  ASSERT_TRUE(fleet);
  std::atomic<std::int64_t> acked{0};
  (*fleet)->on_progress([&](const FleetStats& now) {
    acked = now.acked;
    if (now.connections_lost > 0 && now.connected == now.connections) (*fleet)->stop();
  });
  Result<FleetStats> stats;
  std::thread runner([&] { stats = (*fleet)->run(); });
  EXPECT_TRUE(test::eventually(20s, [&] { return acked > 0; }));
  mosquitto.kill();
  mosquitto.start();
  runner.join();
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(4, stats->connections_lost);
  EXPECT_GT(stats->unknown, 0);
  EXPECT_EQ(stats->published, stats->acked + stats->unheard + stats->unknown);
  EXPECT_EQ(stats->acked, (*LedgerReader::open(options_.ledger_path))->count().value());
}

TEST_F(FleetTest, ABrokerThatStartsLateIsFound) {
  Mosquitto mosquitto(folder_.path());
  mosquitto.kill();
  options_.mqtt_url = mosquitto.url();
  auto fleet = Fleet::create(options_);
  ASSERT_TRUE(fleet);
  std::atomic<bool> a_second_passed{false};
  (*fleet)->on_progress([&](const FleetStats&) { a_second_passed = true; });
  Result<FleetStats> stats;
  std::thread runner([&] { stats = (*fleet)->run(); });
  EXPECT_TRUE(test::eventually(20s, [&] { return a_second_passed.load(); }));
  mosquitto.start();
  runner.join();
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(400, stats->acked + stats->unheard);
}

TEST_F(FleetTest, AnUnreachableBrokerFailsAfterTheConnectTimeout) {
  options_.mqtt_url = fmt::format("tcp://127.0.0.1:{}", test::free_port());
  options_.connect_timeout = 300ms;
  auto stats = run();
  ASSERT_FALSE(stats);
  EXPECT_EQ(Errc::kTimeout, stats.error().code);
  EXPECT_THAT(stats.error().message, testing::HasSubstr(options_.mqtt_url));
}

TEST_F(FleetTest, StopEndsARunThatNeverConnected) {
  options_.mqtt_url = fmt::format("tcp://127.0.0.1:{}", test::free_port());
  options_.connect_timeout = Duration(0);
  auto fleet = Fleet::create(options_);
  ASSERT_TRUE(fleet);
  std::thread stopper([&] { (*fleet)->stop(); });
  auto stats = (*fleet)->run();
  stopper.join();
  ASSERT_TRUE(stats);
  EXPECT_EQ(0, stats->published);
}

TEST_F(FleetTest, StopWaitsForOutstandingAcknowledgements) {
  Mosquitto mosquitto(folder_.path());
  MqttInbox inbox(mosquitto, "sensors/#");
  options_.mqtt_url = mosquitto.url();
  options_.count = 0;
  options_.rate = 300;
  auto fleet = Fleet::create(options_);
  ASSERT_TRUE(fleet);
  (*fleet)->on_progress([&](const FleetStats&) { (*fleet)->stop(); });
  auto stats = (*fleet)->run();
  ASSERT_TRUE(stats);
  EXPECT_GT(stats->published, 0);
  EXPECT_EQ(stats->published, stats->acked);
  expect_exactly_the_ledger(inbox.collect(stats->acked));
}

TEST_F(FleetTest, ABrokerThatServesALowerQosIsSaid) {
  Mosquitto mosquitto(folder_.path(), "max_qos 0");
  options_.mqtt_url = mosquitto.url();
  options_.connect_timeout = 300ms;
  EXPECT_EQ(Errc::kTimeout, run().error().code);
}

TEST_F(FleetTest, AReadingOverTheBrokersPacketSizeIsSaid) {
  Mosquitto mosquitto(folder_.path(), "max_packet_size 500");
  options_.mqtt_url = mosquitto.url();
  options_.payload_bytes = 500;
  const auto stats = run();
  ASSERT_FALSE(stats);
  EXPECT_EQ(Errc::kTooLarge, stats.error().code);
  EXPECT_THAT(stats.error().message, testing::HasSubstr("500 at most"));
}

TEST_F(FleetTest, BadOptionsAreRefusedBeforeAnythingIsTouched) {
  const auto refused = [&](auto change) {
    auto options = options_;
    change(options);
    auto fleet = Fleet::create(options);
    EXPECT_FALSE(fleet);
    return fleet ? std::string() : fleet.error().message;
  };
  EXPECT_THAT(refused([](auto& o) { o.qos = 0; }), testing::HasSubstr("QoS 0 acknowledges nothing"));
  EXPECT_THAT(refused([](auto& o) { o.qos = 3; }), testing::HasSubstr("qos 3"));
  EXPECT_THAT(refused([](auto& o) { o.devices = 0; }), testing::HasSubstr("devices 0"));
  EXPECT_THAT(refused([](auto& o) { o.rate = -1; }), testing::HasSubstr("rate"));
  EXPECT_THAT(refused([](auto& o) { o.rate = std::nan(""); }), testing::HasSubstr("rate"));
  EXPECT_THAT(refused([](auto& o) { o.topic = "all"; }), testing::HasSubstr("{device}"));
  for (const auto* prefix : {"a+", "a#", "a/", "a\"", "a\\", "a\n", "a\x7f", "\xff"})
    EXPECT_THAT(refused([&](auto& o) { o.device_prefix = prefix; }), testing::HasSubstr("device prefix")) << prefix;
  EXPECT_THAT(refused([](auto& o) { o.mqtt_url = "ssl://h"; }), testing::HasSubstr("ssl"));
  EXPECT_THAT(refused([](auto& o) { o.replay_path = "/none.csv"; }), testing::HasSubstr("/none.csv"));
  EXPECT_FALSE(std::filesystem::exists(options_.ledger_path));
}

}  // namespace
}  // namespace tributary
