// tributary-fleet as a user meets it: flags, exit codes, signals, files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "firmware-sim/ledger/ledger.h"
#include "tests/support/eventually.h"
#include "tests/support/network.h"
#include "tests/support/programs.h"
#include "tests/unit/firmware-sim/mqtt_inbox.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

test::Finished fleet(std::vector<std::string> args) {
  args.insert(args.begin(), test::program_path("tributary-fleet"));
  return test::run(args);
}

TEST(FleetProgram, RunsToItsEndAndSaysWhatItDid) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  test::MqttInbox inbox(mosquitto, "site/#");
  const auto ended = fleet({"--mqtt", mosquitto.url(), "--devices", "3", "--rate", "0", "--count", "20", "--seed", "7",
                            "--topic", "site/{device}", "--device-prefix", "node", "--payload-bytes", "250",
                            "--ledger", folder / "run.db", "--summary-json", folder / "run.json"});
  EXPECT_EQ(0, ended.exit_code) << ended.errors;
  EXPECT_THAT(ended.output, HasSubstr("published 60 readings"));
  EXPECT_THAT(ended.output, HasSubstr("seed 7"));
  const auto summary = nlohmann::json::parse(test::read_whole_file(folder / "run.json"));
  EXPECT_EQ(60, summary["acked"]);
  EXPECT_EQ(7, summary["seed"]);
  EXPECT_EQ(60 * 250, summary["payload_bytes"]);
  const auto messages = inbox.collect(60);
  ASSERT_EQ(60u, messages.size());
  for (const auto& message : messages) EXPECT_EQ(250u, message.payload.size());
  auto ledger = LedgerReader::open(folder / "run.db");
  ASSERT_TRUE(ledger);
  EXPECT_EQ("site/node0002", (*ledger)->find_device("node0002")->topic);
  EXPECT_EQ(60, (*ledger)->count().value());
}

TEST(FleetProgram, SaysWhatNobodyWasSubscribedTo) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  const auto ended = fleet({"--mqtt", mosquitto.url(), "--devices", "1", "--rate", "0", "--count", "20",
                            "--summary-json", folder / "run.json"});
  EXPECT_EQ(0, ended.exit_code) << ended.errors;
  EXPECT_THAT(ended.output, HasSubstr("dropped by the MQTT broker, nobody was subscribed: 20"));
  EXPECT_EQ(20, nlohmann::json::parse(test::read_whole_file(folder / "run.json"))["unheard"]);
}

TEST(FleetProgram, EndsCleanlyOnSigtermWithAllThatWasAcknowledgedInTheLedger) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  test::MqttInbox inbox(mosquitto, "sensors/#");
  test::Process process({.command = {test::program_path("tributary-fleet"), "--mqtt", mosquitto.url(), "--rate", "50",
                                     "--ledger", folder / "run.db", "--progress"},
                         .error_path = folder / "errors"});
  EXPECT_TRUE(test::eventually(20s, [&] {
    auto ledger = LedgerReader::open(folder / "run.db");
    return ledger && (*ledger)->count().value_or(0) > 0;
  }));
  EXPECT_EQ(0, process.terminate());
  auto ledger = LedgerReader::open(folder / "run.db");
  ASSERT_TRUE(ledger);
  const auto count = (*ledger)->count().value();
  EXPECT_EQ(static_cast<std::size_t>(count), inbox.collect(count + 1, 1).size());
}

TEST(FleetProgram, FailsWhenTheBrokerIsNotThereInTimeAndSaysSoOnce) {
  const auto url = fmt::format("tcp://127.0.0.1:{}", test::free_port());
  const auto ended = fleet({"--mqtt", url, "--connect-timeout", "1500ms"});
  EXPECT_EQ(1, ended.exit_code);
  EXPECT_THAT(ended.errors, HasSubstr(url));
  const auto first = ended.errors.find("trying on");
  ASSERT_NE(std::string::npos, first) << ended.errors;
  EXPECT_EQ(std::string::npos, ended.errors.find("trying on", first + 1)) << ended.errors;
}

TEST(FleetProgram, RefusesBadUsageWithTwo) {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"--devices", "0"}, {"--qos", "3"}, {"--seconds", "-1"}, {"--rate", "-1"}, {"--mqtt", "ssl://x"},
           {"--topic", "all"}, {"--qos", "0", "--ledger", "/tmp/never.db"}, {"--device-prefix", "a\"+"}, {"--nosuch"}}) {
    const auto ended = fleet(args);
    EXPECT_EQ(2, ended.exit_code) << args[0];
    EXPECT_FALSE(ended.errors.empty()) << args[0];
  }
}

TEST(FleetProgram, RefusesALedgerThatIsThereAlready) {
  test::TempFolder folder;
  ASSERT_TRUE((*LedgerWriter::create(folder / "run.db", {}, {}))->close());
  const auto ended = fleet({"--ledger", folder / "run.db"});
  EXPECT_EQ(1, ended.exit_code);
  EXPECT_THAT(ended.errors, HasSubstr(folder / "run.db"));
}

TEST(FleetProgram, HasHelpAndVersion) {
  EXPECT_THAT(fleet({"--help"}).output, testing::AllOf(HasSubstr("--replay"), HasSubstr("Examples:")));
  EXPECT_EQ(0, fleet({"--version"}).exit_code);
}

}  // namespace
}  // namespace tributary
