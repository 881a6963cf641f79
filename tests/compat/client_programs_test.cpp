// Clients that others wrote, each driven by a program of its own in tests/compat/clients. They are no Debian
// packages: a client whose registry or runtime is not there is skipped, with the reason. What is fetched is kept in
// $TRIBUTARY_CLIENTS, or in the build folder. With TRIBUTARY_COMPAT_RESULTS each leaves its results in a file there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

std::string env_or(const char* name, const std::string& otherwise) {
  const char* given = std::getenv(name);
  return given ? given : otherwise;
}

struct ClientProgram {
  std::string name;                              // of the folder in tests/compat/clients
  std::vector<std::string> fetch;                // what it needs, into a copy of that folder; {dir} stands for it
  std::vector<std::string> build;                // may be empty
  std::vector<std::string> command;              // then the broker's address
  std::map<std::string, std::string> env;
};

const ClientProgram kPrograms[] = {
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

class ClientPrograms : public testing::TestWithParam<ClientProgram> {
 protected:
  /// Copies the program to where it is kept, and fetches what it needs. Why not, if that cannot be had.
  std::string fetch() {
    const auto source = std::filesystem::path(env_or("TRIBUTARY_SOURCE", ".")) / "tests/compat/clients" / GetParam().name;
    const auto kept = env_or("TRIBUTARY_CLIENTS", env_or("TRIBUTARY_BIN", ".") + "/../clients") + "/" + GetParam().name;
    dir_ = std::filesystem::absolute(kept).lexically_normal();
    std::filesystem::create_directories(dir_);
    for (const auto& entry : std::filesystem::directory_iterator(source)) {
      std::filesystem::copy_file(entry, std::filesystem::path(dir_) / entry.path().filename(),
                                 std::filesystem::copy_options::overwrite_existing);
    }
    const auto& command = GetParam().fetch;
    const auto done = run(filled(command), 240s);
    if (done.exit_code == 0) return "";
    return fmt::format("{}: exit code {} {}", command.front(), done.exit_code, (done.errors + done.output).substr(0, 500));
  }

  std::string filled(std::string text) const {
    for (auto at = text.find("{dir}"); at != std::string::npos; at = text.find("{dir}")) text.replace(at, 5, dir_);
    return text;
  }
  std::vector<std::string> filled(std::vector<std::string> texts) const {
    for (auto& text : texts) text = filled(text);
    return texts;
  }

  void keep_results(const std::string& output) const {
    if (const auto folder = env_or("TRIBUTARY_COMPAT_RESULTS", ""); !folder.empty()) {
      std::filesystem::create_directories(folder);
      std::ofstream(folder + "/" + GetParam().name + ".txt") << output;
    }
  }

  std::string dir_;
  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
};

TEST_P(ClientPrograms, DoesAllThatItsProgramAsks) {
  if (const auto why_not = fetch(); !why_not.empty()) {
    keep_results("skipped " + why_not.substr(0, why_not.find('\n')) + "\n");
    GTEST_SKIP() << why_not;
  }
  if (const auto& build = GetParam().build; !build.empty()) {
    const auto built = run(filled(build), 240s);
    ASSERT_EQ(built.exit_code, 0) << built.errors << built.output;
  }
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  auto command = filled(GetParam().command);
  command.push_back(fmt::format("127.0.0.1:{}", broker_.kafka_port()));
  auto env = GetParam().env;
  for (auto& [name, value] : env) value = filled(value);
  const auto done = run(command, 240s, env);
  keep_results(done.output);
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors << broker_.log();
  std::istringstream lines(done.output);
  int passed = 0;
  for (std::string line; std::getline(lines, line);) {
    passed += line.starts_with("ok ");
    EXPECT_FALSE(line.starts_with("failed ")) << line;
  }
  EXPECT_GE(passed, 9) << done.output;
}

INSTANTIATE_TEST_SUITE_P(All, ClientPrograms, testing::ValuesIn(kPrograms), [](const auto& program) {
  auto name = program.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace tributary::test
