// Promise 2 (the uplink is down) and promise 3 (the gateway loses what is not on flash).

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "common/env/clock.h"
#include "firmware-sim/ledger/ledger.h"
#include "tests/e2e/site.h"

namespace tributary::test {
namespace {

namespace fs = std::filesystem;

double gateway_value(const Site& site, const std::string& name) {
  return site.gateway.metric("tributary_gateway_" + name).value_or(-1);
}

/// Everything that the gateway has taken is acknowledged by the cluster.
bool drained(const Site& site) {
  return gateway_value(site, "intake_readings") == 0 && gateway_value(site, "unacked_batches") == 0;
}

std::uintmax_t bytes_below(const std::string& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

/// The seqs of each device that the log has, in log order.
std::map<std::string, std::vector<std::int64_t>> consumed(const Broker& broker) {
  const auto raw = tributary(broker, {"consume", "--topic", "readings", "--format", "raw"});
  EXPECT_EQ(raw.exit_code, 0) << raw.errors;
  std::map<std::string, std::vector<std::int64_t>> seqs;
  std::istringstream lines(raw.output);
  for (std::string line; std::getline(lines, line);) {
    const auto reading = nlohmann::json::parse(line);
    seqs[reading.at("device")].push_back(reading.at("seq"));
  }
  return seqs;
}

TEST(Outages, AnUplinkThatIsDownIsBufferedOnFlashAndDrainedAfterwards) {
  Site site;
  site.gateway.extra_args = {"--durable-within", "3s"};
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(20, 50, 18);
  ASSERT_TRUE(eventually(20s, [&] { return gateway_value(site, "acked_readings_total") > 500; }));
  EXPECT_EQ(gateway_value(site, "spilled_batches_total"), 0);

  site.uplink_line.refuse();
  ASSERT_TRUE(eventually(20s, [&] { return gateway_value(site, "spilled_readings_total") > 2000; }))
      << site.gateway.log();
  EXPECT_GT(gateway_value(site, "buffer_bytes"), 0);

  site.uplink_line.listen();
  ASSERT_TRUE(eventually(30s, [&] { return gateway_value(site, "cluster_connected") == 1; })) << site.gateway.log();
  // Live readings keep coming; the flash has been left behind when nothing more is moved there.
  double spilled = -1;
  ASSERT_TRUE(eventually(30s, [&] {
    const auto before = std::exchange(spilled, gateway_value(site, "spilled_batches_total"));
    return before == spilled;
  }, 3500ms)) << site.gateway.log();
  const auto flash_bytes = bytes_below(site.gateway.flash());

  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
  EXPECT_EQ(gateway_value(site, "spilled_batches_total"), spilled) << "flash was written with a healthy uplink";
  EXPECT_LE(bytes_below(site.gateway.flash()), flash_bytes);
}

TEST(Outages, ALineThatFallsSilentIsLeftAndNothingIsDoubled) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  auto fleet = site.start_devices(10, 50, 8);
  ASSERT_TRUE(eventually(20s, [&] { return gateway_value(site, "acked_readings_total") > 300; }));
  // What is under way may have arrived: no answer comes, and it is sent again.
  site.uplink_line.pause();
  ASSERT_TRUE(eventually(30s, [&] { return gateway_value(site, "spilled_readings_total") > 500; }))
      << site.gateway.log();
  site.uplink_line.cut();
  site.uplink_line.resume();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

TEST(Outages, AKilledGatewayWithABacklogOnFlashSendsItOnce) {
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  site.uplink_line.refuse();
  auto fleet = site.start_devices(10, 50, 8);
  for (int kill = 1; kill <= 3; ++kill) {
    ASSERT_TRUE(eventually(30s, [&] { return gateway_value(site, "spilled_readings_total") > 300; }))
        << site.gateway.log();
    site.gateway.kill();
    site.gateway.start();
  }
  site.uplink_line.listen();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  const auto verdict = verify_settled(site.broker, site.ledger());
  EXPECT_TRUE(verdict.ok()) << verdict.text << site.gateway.log();
}

TEST(Outages, ALostTmpfsCostsAtMostWhatIsYoungerThanDurableWithin) {
  constexpr WallMs kDurableWithinMs = 1000;  // the default
  constexpr WallMs kOnTheWayMs = 1000;       // from the device's PUBACK to the end of the flash write, and clocks
  Site site;
  ASSERT_NO_FATAL_FAILURE(site.start_all());
  site.uplink_line.refuse();
  auto fleet = site.start_devices(10, 50, 10);
  ASSERT_TRUE(eventually(30s, [&] { return gateway_value(site, "spilled_readings_total") > 1000; }))
      << site.gateway.log();
  const auto lost_from_ms = system_clock().wall_now_ms();
  site.gateway.kill();
  const auto lost_until_ms = system_clock().wall_now_ms();
  for (const auto& entry : fs::directory_iterator(site.gateway.intake())) fs::remove_all(entry);
  site.gateway.start();
  ASSERT_TRUE(site.wait_subscribed()) << site.gateway.log();
  site.uplink_line.listen();
  EXPECT_EQ(fleet.wait(60s), 0) << site.fleet_log();
  ASSERT_TRUE(eventually(60s, [&] { return drained(site); })) << site.gateway.log();

  const auto verdict = verify(site.broker, site.ledger());
  EXPECT_EQ(verdict.doubled, 0) << verdict.text;
  EXPECT_EQ(verdict.out_of_order, 0) << verdict.text;
  EXPECT_EQ(verdict.content_differs, 0) << verdict.text;
  const auto in_log = consumed(site.broker);
  const auto ledger = LedgerReader::open(site.ledger());
  ASSERT_TRUE(ledger) << ledger.error().message;
  std::int64_t old_missing = 0, missing_between = 0, later_missing = 0, later = 0;
  for (const auto& device : (*ledger)->devices()) {
    const auto found = in_log.find(device.name);
    ASSERT_NE(found, in_log.end()) << device.name;
    const std::set<std::int64_t> seqs(found->second.begin(), found->second.end());
    ASSERT_TRUE((*ledger)->for_each(device.id, [&](const LedgerEntry& entry) {
      const bool there = seqs.contains(entry.seq);
      const int missing = there ? 0 : 1;
      later += entry.published_ms > lost_until_ms ? 1 : 0;
      if (entry.published_ms > lost_until_ms) later_missing += missing;
      else if (entry.acked_ms < lost_from_ms - kDurableWithinMs - kOnTheWayMs) old_missing += missing;
      else missing_between += missing;
      return true;
    }));
  }
  EXPECT_EQ(old_missing, 0) << site.gateway.log();
  EXPECT_EQ(later_missing, 0) << site.gateway.log();
  EXPECT_EQ(verdict.missing, missing_between);
  EXPECT_GT(later, 100);
}

}  // namespace
}  // namespace tributary::test
