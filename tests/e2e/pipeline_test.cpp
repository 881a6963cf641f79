// From a device's publish to a consumer's pull, nothing broken.

#include <fmt/format.h>

#include "tests/e2e/site.h"

namespace tributary::test {
namespace {

TEST(Pipeline, EveryReadingArrivesOnceInOrderAndNoneTouchesFlash) {
  Site site;
  // A machine that is busy with other things must not look like an outage.
  site.gateway.extra_args = {"--durable-within", "10s"};
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(20, 50, 4);
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
  EXPECT_GT(verdict.acknowledged, 3000);
  EXPECT_EQ(site.gateway.metric("tributary_gateway_spilled_batches_total"), 0.0) << "the uplink was healthy";
  EXPECT_EQ(site.gateway.terminate(), 0) << site.gateway.log();
  EXPECT_EQ(site.broker.terminate(), 0) << site.broker.log();
}

TEST(Pipeline, TheLiveViewEndsWithTheDevicesAndTellsWhatCameThrough) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(10, 20, 4);
  Process::Options options;
  options.command = {program_path("tributary"), "--cluster", site.broker.nng_url(), "watch", "--topic", "readings",
                     "--from", "earliest", "--gateway", "127.0.0.1:" + std::to_string(site.gateway.http_port()),
                     "--pid", std::to_string(fleet.pid())};
  options.output_path = options.error_path = site.folder / "watch.log";
  Process watch(options);
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  EXPECT_EQ(watch.wait(60s), 0) << read_whole_file(options.output_path);
  const auto shown = read_whole_file(options.output_path);
  const auto verdict = verify(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text;
  for (const auto* name : {"in", "stored", "consumed"})
    EXPECT_NE(shown.find(fmt::format("  {:<10}{:>15} readings\n", name, verdict.acknowledged)), std::string::npos)
        << shown;
}

TEST(Pipeline, ProgramsMayComeUpInWhateverOrder) {
  Site site(Mosquitto::Start::kLater);
  site.gateway.start();
  ASSERT_TRUE(site.gateway.wait_alive()) << site.gateway.log();
  site.mosquitto.start();
  ASSERT_TRUE(site.wait_subscribed()) << site.gateway.log();
  auto fleet = site.start_devices(5, 20, 4);
  // The broker has never been there: the gateway buffers all the same.
  ASSERT_TRUE(eventually(30s, [&] {
    return site.gateway.metric("tributary_gateway_spilled_batches_total").value_or(0) > 0;
  })) << site.gateway.log();
  ASSERT_TRUE(site.broker.start_ready()) << site.broker.log();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

TEST(Pipeline, ACleanStopAndStartUnderLoadLosesNothing) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(10, 50, 6);
  ASSERT_TRUE(eventually(20s, [&] {
    return site.gateway.metric("tributary_gateway_readings_total").value_or(0) > 500;
  })) << site.gateway.log();
  EXPECT_EQ(site.gateway.terminate(), 0) << site.gateway.log();
  site.gateway.start();
  EXPECT_EQ(site.broker.terminate(), 0) << site.broker.log();
  ASSERT_TRUE(site.broker.start_ready()) << site.broker.log();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

TEST(Pipeline, AMosquittoThatDiesIsFoundAgain) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  site.mosquitto.kill();
  ASSERT_TRUE(eventually(20s, [&] { return site.gateway.metric("tributary_gateway_mqtt_connected") == 0.0; }));
  site.mosquitto.start();
  ASSERT_TRUE(site.wait_subscribed()) << site.gateway.log();
  auto fleet = site.start_devices(5, 20, 2);
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

}  // namespace
}  // namespace tributary::test
