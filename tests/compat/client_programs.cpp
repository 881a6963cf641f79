#include "tests/compat/client_programs.h"

#include <gtest/gtest.h>

#include "tests/support/process.h"

namespace tributary::test {

const std::vector<ClientProgram>& client_programs() {
  static const std::vector<ClientProgram> all = {
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
  return all;
}

std::string make_ready(const ClientProgram& client, const FetchedProgram& program) {
  if (auto why_not = program.fetch(client.fetch); !why_not.empty()) return why_not;
  if (client.build.empty()) return "";
  const auto built = run(program.filled(client.build), std::chrono::seconds(240));
  EXPECT_EQ(built.exit_code, 0) << built.errors << built.output;
  return "";
}

std::map<std::string, std::string> filled_env(const ClientProgram& client, const FetchedProgram& program) {
  auto env = client.env;
  for (auto& [name, value] : env) value = program.filled(value);
  return env;
}

}  // namespace tributary::test
