#include "tests/compat/real_kafka.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/network.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kProperties = R"(process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{1}
listeners=PLAINTEXT://127.0.0.1:{0},CONTROLLER://127.0.0.1:{1}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={2}
num.partitions=1
log.segment.bytes=1048576
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
)";

}  // namespace

const FetchedProgram& KafkaJars::program() {
  static const FetchedProgram fetched("kafka");
  return fetched;
}

const std::string& KafkaJars::why_not() {
  static const std::string why = [] {
    auto why_no_java = run({"java", "-version"});
    if (why_no_java.exit_code != 0) return "java: " + why_no_java.errors;
    return program().fetch({"mvn", "-q", "-B", "-f", "{dir}/pom.xml", "dependency:copy-dependencies",
                            "-DoutputDirectory={dir}/jars"});
  }();
  return why;
}

std::vector<std::string> KafkaJars::command(const std::string& main_class, std::vector<std::string> args,
                                            const std::string& heap) {
  std::vector<std::string> all = {"java", "-Xmx" + heap, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
                                  program().filled("{dir}/jars/*"), main_class};
  all.insert(all.end(), args.begin(), args.end());
  return all;
}

RealKafka::RealKafka(std::string folder, std::string heap)
    : folder_(std::move(folder)), heap_(std::move(heap)), port_(free_port()), controller_port_(free_port()) {
  std::filesystem::create_directories(folder_);
}

std::string RealKafka::address() const { return fmt::format("127.0.0.1:{}", port_); }

bool RealKafka::format() {
  const auto done = run(KafkaJars::command("kafka.tools.StorageTool",
                                           {"format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", properties_path()}), 60s);
  std::ofstream(folder_ + "/log", std::ios::app) << done.output << done.errors;
  return done.exit_code == 0;
}

bool RealKafka::start_ready() {
  std::ofstream(properties_path()) << fmt::format(kProperties, port_, controller_port_, data()) << properties;
  if (!std::filesystem::exists(data()) && !format()) return false;
  Process::Options options;
  options.command = KafkaJars::command("kafka.Kafka", {properties_path()}, heap_);
  options.output_path = options.error_path = folder_ + "/log";
  process_.emplace(options);
  return eventually(60s, [&] {
    return !process_->running() || run({"kcat", "-b", address(), "-L", "-m", "2"}).exit_code == 0;
  }, 100ms) && process_->running();
}

bool RealKafka::stop() {
  constexpr int kEndedByTerm = 128 + 15;  // what Java makes of SIGTERM when its shutdown hooks have run
  const auto ended = process_->terminate(60s);
  if (!ended) process_->kill();
  return ended == kEndedByTerm;
}

}  // namespace tributary::test
