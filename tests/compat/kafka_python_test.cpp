// kafka-python against the broker. It is no Debian package: without pip and its registry this is skipped.
// TRIBUTARY_PYTHON names an interpreter that has it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

struct Python {
  std::string interpreter;
  std::map<std::string, std::string> env;
  std::string why_not;  // empty if it has kafka-python
};

Python python_with_kafka(const TempFolder& folder) {
  const char* given = std::getenv("TRIBUTARY_PYTHON");
  Python python{given ? given : "python3", {}, ""};
  if (run({python.interpreter, "-c", "import kafka"}).exit_code == 0) return python;
  const auto packages = folder / "packages";
  const auto installed =
      run({python.interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0",
           "--timeout", "5", "--target", packages, "kafka-python==3.0.12", "lz4", "zstandard"},
          std::chrono::seconds(60));
  if (installed.exit_code != 0) python.why_not = "pip install kafka-python: " + installed.errors;
  python.env = {{"PYTHONPATH", packages}};
  return python;
}

TEST(KafkaPython, ProducesAndConsumesWithTheCodecsThatItHas) {
  const TempFolder folder;
  const auto python = python_with_kafka(folder);
  if (!python.why_not.empty()) GTEST_SKIP() << python.why_not;
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  ASSERT_NE(source, nullptr) << "run through ctest";
  Broker broker(folder / "broker");
  ASSERT_TRUE(broker.start_ready()) << broker.log();
  const auto done = run({python.interpreter, std::string(source) + "/tests/compat/kafka_python_client.py",
                         fmt::format("127.0.0.1:{}", broker.kafka_port())},
                        std::chrono::seconds(90), python.env);
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors << broker.log();
  EXPECT_THAT(done.output, testing::HasSubstr("exchanged"));
  EXPECT_THAT(done.output, testing::HasSubstr("groups True"));
}

}  // namespace
}  // namespace tributary::test
