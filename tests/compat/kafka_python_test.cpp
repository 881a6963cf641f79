// kafka-python against the broker. It is no Debian package: without pip and its registry this is skipped.
// TRIBUTARY_PYTHON names an interpreter that has it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

/// An interpreter with kafka-python, or the empty string and why not.
std::pair<std::string, std::string> python_with_kafka(const TempFolder& folder) {
  const char* given = std::getenv("TRIBUTARY_PYTHON");
  const std::string system = given ? given : "python3";
  if (run({system, "-c", "import kafka"}).exit_code == 0) return {system, ""};
  const auto environment = folder / "venv";
  const auto made = run({system, "-m", "venv", environment}, std::chrono::seconds(60));
  if (made.exit_code != 0) return {"", "python3 -m venv: " + made.errors + made.output};
  const auto python = environment + "/bin/python";
  const auto installed = run({python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                              "--retries", "0", "--timeout", "5", "kafka-python==3.0.12", "lz4", "zstandard"},
                             std::chrono::seconds(60));
  if (installed.exit_code != 0) return {"", "pip install: " + installed.errors};
  return {python, ""};
}

TEST(KafkaPython, ProducesAndConsumesWithTheCodecsThatItHas) {
  const TempFolder folder;
  const auto [python, reason] = python_with_kafka(folder);
  if (python.empty()) GTEST_SKIP() << reason;
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  ASSERT_NE(source, nullptr) << "run through ctest";
  Broker broker(folder / "broker");
  ASSERT_TRUE(broker.start_ready()) << broker.log();
  const auto done = run({python, std::string(source) + "/tests/compat/kafka_python_client.py",
                         fmt::format("127.0.0.1:{}", broker.kafka_port())},
                        std::chrono::seconds(90));
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors << broker.log();
  EXPECT_THAT(done.output, testing::HasSubstr("exchanged"));
}

}  // namespace
}  // namespace tributary::test
