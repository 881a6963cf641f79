// What an operator gets wrong: ports, folders, configurations, full disks.

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/config/exit_codes.h"
#include "tests/e2e/site.h"
#include "tests/support/network.h"
#include "tests/support/small_disk.h"

namespace tributary::test {
namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string address(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

TEST(Operation, ABrokersPortInUseEndsItWithTheAddressNamed) {
  const TempFolder folder;
  Broker first(folder / "first");
  ASSERT_TRUE(first.start_ready()) << first.log();
  const std::pair<std::string, std::string> cases[] = {
      {"--kafka", address(first.kafka_port())},
      {"--nng", first.nng_url()},
      {"--http", address(first.http_port())},
  };
  for (const auto& [flag, taken] : cases) {
    Broker second(folder / ("second" + flag));
    second.extra_args = {flag, taken};
    second.start();
    EXPECT_EQ(second.process().wait(20s), kExitFailure) << flag << "\n" << second.log();
    const auto where = taken.substr(taken.find("127"));
    EXPECT_TRUE(contains(second.log(), where) && contains(second.log(), "in use")) << flag << "\n" << second.log();
  }
  EXPECT_TRUE(first.running());
}

TEST(Operation, ASecondProcessOnAFolderIsRefusedAndTheFirstGoesOn) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  Broker other_broker(site.folder / "other-broker");
  other_broker.extra_args = {"--data", site.broker.data()};
  other_broker.start();
  EXPECT_EQ(other_broker.process().wait(20s), kExitFailure) << other_broker.log();
  EXPECT_TRUE(contains(other_broker.log(), site.broker.data())) << other_broker.log();

  Gateway other_gateway(site.folder / "other-gateway", site.mosquitto.url(), site.broker.nng_url());
  other_gateway.extra_args = {"--data", site.gateway.flash()};
  other_gateway.start();
  EXPECT_EQ(other_gateway.process().wait(20s), kExitFailure) << other_gateway.log();
  EXPECT_TRUE(contains(other_gateway.log(), site.gateway.flash())) << other_gateway.log();

  EXPECT_TRUE(site.broker.wait_ready());
  EXPECT_TRUE(site.gateway.wait_ready());
}

TEST(Operation, AGatewaysPortInUseEndsItWithTheAddressNamed) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  Gateway second(site.folder / "second", site.mosquitto.url(), site.broker.nng_url());
  second.extra_args = {"--http", address(site.gateway.http_port())};
  second.start();
  EXPECT_EQ(second.process().wait(20s), kExitFailure) << second.log();
  EXPECT_TRUE(contains(second.log(), address(site.gateway.http_port()))) << second.log();
}

TEST(Operation, ABrokenConfigurationEndsWithTwoAndNamesFileAndLine) {
  const TempFolder folder;
  const auto file = folder / "bad.toml";
  std::ofstream(file) << "\nunheard_of = 1\n";
  for (const auto* program : {"tributary-broker", "tributary-gateway", "tributary-fleet"}) {
    const auto finished = run({program_path(program), "--config", file});
    EXPECT_EQ(finished.exit_code, kExitUsage) << program;
    EXPECT_TRUE(contains(finished.errors, file + ":2: unknown key \"unheard_of\"")) << finished.errors;
  }
}

TEST(Operation, AGatewayRefusesALingerThatDurableWithinDoesNotAllow) {
  const auto finished = run({program_path("tributary-gateway"), "--route", "a/+ -> a", "--linger", "600ms"});
  EXPECT_EQ(finished.exit_code, kExitUsage);
  EXPECT_TRUE(contains(finished.errors, "linger") && contains(finished.errors, "durable_within")) << finished.errors;
}

TEST(Operation, EveryProgramHasHelpWithExamplesAndAVersion) {
  for (const auto* program : {"tributary-broker", "tributary-gateway", "tributary-fleet", "tributary"}) {
    const auto help = run({program_path(program), "--help"});
    EXPECT_EQ(help.exit_code, kExitOk);
    EXPECT_TRUE(contains(help.output, "Examples:\n")) << help.output;
    const auto version = run({program_path(program), "--version"});
    EXPECT_EQ(version.exit_code, kExitOk);
    EXPECT_TRUE(version.output.starts_with(std::string(program) + " ")) << version.output;
  }
}

TEST(Operation, TerminationEndsEveryProgramCleanlyWithZero) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(5, 10, 600);
  ASSERT_TRUE(eventually(20s, [&] {
    return site.gateway.metric("tributary_gateway_readings_total").value_or(0) > 50;
  }));
  EXPECT_EQ(fleet.terminate(), 0) << site.fleet_log();
  EXPECT_EQ(site.gateway.terminate(), 0) << site.gateway.log();
  EXPECT_EQ(site.broker.terminate(), 0) << site.broker.log();
}

TEST(Operation, TerminationIsPromptWhileNothingCanBeReached) {
  const TempFolder folder;
  Gateway gateway(folder / "gateway", Site::url(free_port()), Site::url(free_port()));
  gateway.start();
  ASSERT_TRUE(gateway.wait_alive()) << gateway.log();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(gateway.terminate(), 0) << gateway.log();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
}

TEST(Operation, ABrokerOnAFullDiskSaysSoAndLosesNothing) {
  Site site;
  const SmallDisk disk(site.broker.data(), "64m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root: " << std::strerror(errno);
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(20, 50, 10);
  ASSERT_TRUE(eventually(20s, [&] {
    return site.gateway.metric("tributary_gateway_acked_readings_total").value_or(0) > 300;
  })) << site.gateway.log();
  disk.fill();
  ASSERT_TRUE(eventually(20s, [&] { return contains(site.broker.log(), "No space left"); })) << site.broker.log();
  EXPECT_TRUE(contains(site.broker.log(), site.broker.data() + "/readings-")) << site.broker.log();
  const auto spilled = site.gateway.metric("tributary_gateway_spilled_readings_total").value_or(0);
  ASSERT_TRUE(eventually(20s, [&] {
    return site.gateway.metric("tributary_gateway_spilled_readings_total").value_or(0) > spilled + 300;
  })) << site.gateway.log();
  EXPECT_EQ(tributary(site.broker, {"consume", "--topic", "readings"}).exit_code, 0) << "what is there is served";
  disk.empty();
  // Nobody has to help: the gateway has kept on trying.
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.broker.log();
}

TEST(Operation, AGatewayWhoseTmpfsAndFlashAreFullLeavesTheQueueToMosquittoAndLosesNothing) {
  Site site;
  const SmallDisk tmpfs(site.gateway.intake(), "12m");
  const SmallDisk flash(site.gateway.flash(), "8m");
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a small file system needs root: " << std::strerror(errno);
  site.gateway.extra_args = {"--compression", "none"};
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  EXPECT_TRUE(contains(site.gateway.log(), "held_at_most=7549")) << site.gateway.log();
  site.uplink_line.refuse();
  flash.fill();
  auto fleet = site.start_devices(20, 150, 15);
  const auto paused = [&] { return site.gateway.metric("tributary_gateway_mqtt_paused") == 1.0; };
  ASSERT_TRUE(eventually(40s, paused)) << site.gateway.log();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  EXPECT_TRUE(site.gateway.running()) << site.gateway.log();
  // Nor does a start over a full tmpfs take more than it can hold.
  site.gateway.kill();
  site.gateway.start();
  ASSERT_TRUE(eventually(20s, paused)) << site.gateway.log();
  flash.empty();
  site.uplink_line.listen();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

}  // namespace
}  // namespace tributary::test
