// Clients that others wrote, each driven by its program. With TRIBUTARY_COMPAT_RESULTS each leaves its results in a file there; with
// TRIBUTARY_COMPAT_RECORD the requests that each sends, for tests/compat/golden.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/compat/client_programs.h"
#include "tests/compat/frame_recorder.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

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
  if (const auto why_not = make_ready(GetParam(), program_); !why_not.empty()) {
    program_.keep_results("skipped " + why_not.substr(0, why_not.find('\n')) + "\n");
    GTEST_SKIP() << why_not;
  }
  ClientRecording recording(GetParam().name, broker_);
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  auto command = program_.filled(GetParam().command);
  command.push_back(recording.address());
  const auto done = run(command, 240s, filled_env(GetParam(), program_));
  program_.keep_results(done.output);
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors << broker_.log();
  for (const std::string feature : kFeatures) {
    EXPECT_THAT("\n" + done.output, testing::AnyOf(testing::HasSubstr("\nok " + feature + "\n"),
                                                   testing::HasSubstr("\nlacks " + feature + ": ")));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClientPrograms, testing::ValuesIn(client_programs()), [](const auto& program) {
  auto name = program.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace tributary::test
