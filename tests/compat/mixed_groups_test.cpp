// Native members in one cooperative group with those of other clients: whoever leads it, whoever joins, leaves or dies,
// every record is read.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/compat/client_programs.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

/// Programs that have "member" (see there), with the assignor's name there.
const std::map<std::string, std::string> kAssignorOf = {{"java", "CooperativeStickyAssignor"},
                                                        {"franz-go", "cooperative-sticky"},
                                                        {"kafka-python", "cooperative-sticky"},
                                                        {"confluent", "cooperative-sticky"}};

std::vector<ClientProgram> programs_with_members() {
  std::vector<ClientProgram> found;
  for (const auto& client : client_programs())
    if (kAssignorOf.contains(client.name)) found.push_back(client);
  return found;
}

class MixedGroup : public testing::TestWithParam<ClientProgram> {
 protected:
  ~MixedGroup() override {
    static const std::string kFeature = "in one cooperative group with native members";
    if (!IsSkipped()) program_.keep_results(HasFailure() ? "failed " + kFeature + ": see the test's output\n" : "ok " + kFeature + "\n");
  }
  void SetUp() override {
    if (const auto why_not = make_ready(GetParam(), program_); !why_not.empty()) GTEST_SKIP() << why_not;
    broker_.extra_args = {"--group-initial-rebalance-delay=100ms"};
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    ASSERT_EQ(tributary(broker_, {"topic", "create", "mixed", "--partitions", "6"}).exit_code, 0);
    ASSERT_EQ(mkfifo((folder_ / "open").c_str(), 0600), 0);
  }

  Process start_native() {
    const auto output = folder_ / fmt::format("values-{}", ++started_);
    return Process({.command = {program_path("tributary"), "consume", "--cluster", "kafka://" + address(), "--group", "mixed",
                                "--assignor", "cooperative-sticky", "--from", "earliest", "--follow", "--commit-interval",
                                "100ms", "--format", "raw", "mixed"},
                    .output_path = output, .error_path = folder_ / "errors"});
  }
  Process start_other() {
    const auto output = folder_ / fmt::format("member-{}", ++started_);
    // It leaves when its input ends, which this one does not.
    std::vector<std::string> command{"sh", "-c", R"(input=$1; shift; exec "$@" <> "$input")", "sh", folder_ / "open"};
    for (const auto& word : program_.filled(GetParam().command)) command.push_back(word);
    command.insert(command.end(), {address(), "member", "mixed", kAssignorOf.at(GetParam().name), ""});
    other_output_ = output;
    return Process({.command = command, .env = filled_env(GetParam(), program_), .output_path = output,
                    .error_path = folder_ / "errors"});
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", broker_.kafka_port()); }

  /// How many partitions the newest of the other client's members has.
  [[nodiscard]] std::size_t others_share() const {
    std::istringstream lines(read_whole_file(other_output_));
    std::size_t share = 0;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("assigned")) continue;
      share = line.size() <= 9 ? 0 : static_cast<std::size_t>(std::ranges::count(line, ',')) + 1;
    }
    return share;
  }
  [[nodiscard]] std::set<std::string> read_values() const {
    std::set<std::string> values;
    for (int number = 1; number <= started_; ++number) {
      std::istringstream native(read_whole_file(folder_ / fmt::format("values-{}", number)));
      for (std::string line; std::getline(native, line);) values.insert(line);
      std::istringstream other(read_whole_file(folder_ / fmt::format("member-{}", number)));
      for (std::string line; std::getline(other, line);)
        if (line.starts_with("value ")) values.insert(line.substr(6));
    }
    return values;
  }
  /// 60 more records, ten a partition; they and all before are read.
  void expect_more_is_read() {
    for (int p = 0; p < 6; ++p) {
      std::ofstream input(folder_ / "input");
      for (int i = 0; i < 10; ++i) {
        const auto value = fmt::format("v{}", produced_++);
        input << value << '\n';
        all_.insert(value);
      }
      input.close();
      const auto done = run({"kcat", "-b", address(), "-P", "-t", "mixed", "-p", std::to_string(p), "-l", folder_ / "input"});
      ASSERT_EQ(done.exit_code, 0) << done.errors;
    }
    ASSERT_TRUE(eventually(60s, [&] { return read_values() == all_; })) << what_is_known();
  }
  void expect_share(std::size_t share) {
    ASSERT_TRUE(eventually(60s, [&] { return others_share() == share; })) << share << what_is_known();
  }
  [[nodiscard]] std::string what_is_known() const {
    return fmt::format("\n{} of {} values\n{}\n{}\n{}", read_values().size(), all_.size(), read_whole_file(other_output_).substr(0, 2000),
                       read_whole_file(folder_ / "errors"), tributary(broker_, {"group", "describe", "mixed"}).output);
  }

  FetchedProgram program_{GetParam().name};
  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  int started_ = 0, produced_ = 0;
  std::string other_output_;
  std::set<std::string> all_;
};

TEST_P(MixedGroup, EveryRecordIsReadWhoeverLeadsJoinsLeavesOrDies) {
  auto first = start_native();
  ASSERT_NO_FATAL_FAILURE(expect_more_is_read());
  auto other = start_other();
  ASSERT_NO_FATAL_FAILURE(expect_share(3));
  auto second = start_native();
  ASSERT_NO_FATAL_FAILURE(expect_share(2));
  ASSERT_NO_FATAL_FAILURE(expect_more_is_read());
  other.kill();
  ASSERT_NO_FATAL_FAILURE(expect_more_is_read());
  // From here on the other one leads, when the native ones have left.
  other = start_other();
  ASSERT_NO_FATAL_FAILURE(expect_share(2));
  EXPECT_EQ(first.terminate(), 0);
  ASSERT_NO_FATAL_FAILURE(expect_share(3));
  EXPECT_EQ(second.terminate(), 0);
  ASSERT_NO_FATAL_FAILURE(expect_share(6));
  ASSERT_NO_FATAL_FAILURE(expect_more_is_read());
  auto third = start_native();
  ASSERT_NO_FATAL_FAILURE(expect_share(3));
  ASSERT_NO_FATAL_FAILURE(expect_more_is_read());
  EXPECT_EQ(third.terminate(), 0);
  ASSERT_NO_FATAL_FAILURE(expect_share(6));
}

INSTANTIATE_TEST_SUITE_P(With, MixedGroup, testing::ValuesIn(programs_with_members()), [](const auto& program) {
  auto name = program.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace tributary::test
