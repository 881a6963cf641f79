// Clients that others wrote, each driven by a program of its own in tests/compat/clients. They are no Debian
// packages: a client whose registry or runtime is not there is skipped, with the reason. What is fetched is kept in
// $TRIBUTARY_CLIENTS, or in the build folder. With TRIBUTARY_COMPAT_RESULTS each leaves its results in a file there; with
// TRIBUTARY_COMPAT_RECORD the requests that each sends, for tests/compat/golden.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/compat/fetched_program.h"
#include "tests/compat/frame_recorder.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

struct ClientProgram {
  std::string name;                              // of the folder in tests/compat/clients
  std::vector<std::string> fetch;                // what it needs, into a copy of that folder; {dir} stands for it
  std::vector<std::string> build;                // may be empty
  std::vector<std::string> command;              // then the broker's address
  std::map<std::string, std::string> env;
};

const ClientProgram kPrograms[] = {
    {"kcat", {"kcat", "-V"}, {}, {"sh", "{dir}/client.sh"}, {}},
    {"java",
     {"mvn", "-q", "-B", "-f", "{dir}/pom.xml", "dependency:copy-dependencies", "-DoutputDirectory={dir}/jars"},
     {"javac", "-cp", "{dir}/jars/*", "-d", "{dir}/classes", "{dir}/Client.java"},
     {"java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", "{dir}/jars/*:{dir}/classes", "Client"},
     {}},
    {"kafkajs",
     {"npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", "{dir}"},
     {},
     {"node", "{dir}/client.js"},
     {}},
    {"franz-go",
     {"go", "-C", "{dir}", "mod", "download"},
     {"go", "-C", "{dir}", "build", "-o", "client", "."},
     {"{dir}/client"},
     {}},
    {"kafka-python",
     {"python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0", "--timeout", "20",
      "--root-user-action", "ignore", "--target", "{dir}/packages", "--upgrade", "kafka-python==3.0.12", "lz4", "zstandard",
      "python-snappy"},
     {},
     {"python3", "{dir}/client.py"},
     {{"PYTHONPATH", "{dir}/packages"}}},
    {"confluent",
     {"python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0", "--timeout", "20",
      "--root-user-action", "ignore", "--target", "{dir}/packages", "--upgrade", "confluent-kafka==2.16.1"},
     {},
     {"python3", "{dir}/client.py"},
     {{"PYTHONPATH", "{dir}/packages"}}},
};

/// What each program says "ok" to, or "lacks" and why: so there is no client of which one thing was forgotten.
const char* const kFeatures[] = {
    "admin",        "produce none", "produce gzip", "produce snappy",     "produce lz4",              "produce zstd",      "consume",
    "seek by time", "delete records", "group, eager", "group, cooperative", "group, static membership", "commit and resume", "group administration",
};

class ClientPrograms : public testing::TestWithParam<ClientProgram> {
 protected:
  FetchedProgram program_{GetParam().name};
  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
};

TEST_P(ClientPrograms, DoesAllThatItsProgramAsks) {
  if (const auto why_not = program_.fetch(GetParam().fetch); !why_not.empty()) {
    program_.keep_results("skipped " + why_not.substr(0, why_not.find('\n')) + "\n");
    GTEST_SKIP() << why_not;
  }
  if (const auto& build = GetParam().build; !build.empty()) {
    const auto built = run(program_.filled(build), 240s);
    ASSERT_EQ(built.exit_code, 0) << built.errors << built.output;
  }
  ClientRecording recording(GetParam().name, broker_);
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  auto command = program_.filled(GetParam().command);
  command.push_back(recording.address());
  auto env = GetParam().env;
  for (auto& [name, value] : env) value = program_.filled(value);
  const auto done = run(command, 240s, env);
  program_.keep_results(done.output);
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors << broker_.log();
  for (const std::string feature : kFeatures) {
    EXPECT_THAT("\n" + done.output, testing::AnyOf(testing::HasSubstr("\nok " + feature + "\n"),
                                                   testing::HasSubstr("\nlacks " + feature + ": ")));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClientPrograms, testing::ValuesIn(kPrograms), [](const auto& program) {
  auto name = program.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace tributary::test
