#include "tests/support/programs.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/check.h"
#include "common/env/random.h"
#include "tests/support/eventually.h"
#include "tests/support/network.h"

namespace tributary::test {

std::string program_path(const std::string& name) {
  const char* folder = ::getenv("TRIBUTARY_BIN");
  CHECK(folder != nullptr, "TRIBUTARY_BIN names the folder of the programs; ctest sets it");
  return fmt::format("{}/{}", folder, name);
}

Service::Service(std::string program, std::string folder)
    : program_(std::move(program)), folder_(std::move(folder)), http_port_(free_port()) {
  std::filesystem::create_directories(folder_);
}

void Service::start() {
  Process::Options options;
  options.command = args();
  options.command.insert(options.command.begin(), program_path(program_));
  options.command.insert(options.command.end(), extra_args.begin(), extra_args.end());
  options.output_path = options.error_path = folder_ + "/log";
  options.before_exec = before_exec;
  process_.emplace(options);
}

bool Service::start_ready(std::chrono::milliseconds deadline) {
  start();
  return wait_ready(deadline);
}

bool Service::wait_ready(std::chrono::milliseconds deadline) {
  bool ready = false;
  (void)eventually(deadline, [&] {
    const auto answer = http_get(http_port_, "/readyz");
    ready = answer && answer->status == 200;
    return ready || !running();
  });
  return ready;
}

bool Service::wait_alive(std::chrono::milliseconds deadline) {
  bool alive = false;
  (void)eventually(deadline, [&] {
    alive = http_get(http_port_, "/healthz").has_value();
    return alive || !running();
  });
  return alive;
}

void Service::kill() {
  if (process_) process_->kill();
}

std::optional<int> Service::terminate(std::chrono::milliseconds deadline) {
  return process_ ? process_->terminate(deadline) : std::nullopt;
}

std::optional<double> Service::metric(const std::string& name,
                                      const std::map<std::string, std::string>& labels) const {
  return test::metric(http_port_, name, labels);
}

std::string Service::log() const { return read_whole_file(folder_ + "/log"); }

Broker::Broker(const std::string& folder)
    : Service("tributary-broker", folder), kafka_port_(free_port()), nng_port_(free_port()) {}

std::string Broker::nng_url() const { return fmt::format("tcp://127.0.0.1:{}", nng_port_); }

std::vector<std::string> Broker::args() const {
  return {"--data", data(), "--kafka", fmt::format("127.0.0.1:{}", kafka_port_), "--nng", nng_url(),
          "--http", fmt::format("127.0.0.1:{}", http_port_)};
}

Gateway::Gateway(const std::string& folder, std::string mqtt_url, std::string cluster_url, std::string route)
    : Service("tributary-gateway", folder), mqtt_url_(std::move(mqtt_url)),
      cluster_url_(std::move(cluster_url)), route_(std::move(route)),
      intake_("/dev/shm/tributary-test-XXXXXX") {
  CHECK(::mkdtemp(intake_.data()) != nullptr, "cannot make {}: errno {}", intake_, errno);
}

Gateway::~Gateway() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(intake_, ignored);
}

std::vector<std::string> Gateway::args() const {
  return {"--mqtt", mqtt_url_, "--cluster", cluster_url_, "--data", flash(), "--intake", intake_,
          "--route", route_, "--http", fmt::format("127.0.0.1:{}", http_port_)};
}

Process start_fleet(const std::string& folder, const FleetOptions& options) {
  Process::Options process;
  process.command = {program_path("tributary-fleet"), "--mqtt", options.mqtt_url,
                     "--devices", std::to_string(options.devices), "--rate", fmt::format("{}", options.rate),
                     "--seconds", std::to_string(options.seconds), "--qos", std::to_string(options.qos),
                     "--ledger", options.ledger, "--seed", std::to_string(options.seed)};
  process.command.insert(process.command.end(), options.extra_args.begin(), options.extra_args.end());
  process.output_path = process.error_path = folder + "/fleet.log";
  return Process(process);
}

Finished tributary(const Broker& broker, std::vector<std::string> args, std::chrono::milliseconds deadline) {
  args.insert(args.begin(), program_path("tributary"));
  args.insert(args.end(), {"--cluster", broker.nng_url()});
  return run(args, deadline);
}

Verdict verify(const Broker& broker, const std::string& ledger, const std::string& topic) {
  const auto finished = tributary(broker, {"verify", "--json", "--show", "20", "--ledger", ledger, "--topic", topic});
  Verdict verdict;
  verdict.exit_code = finished.exit_code;
  verdict.text = finished.output + finished.errors;
  const auto report = nlohmann::json::parse(finished.output, nullptr, false);
  if (!report.is_object()) return verdict;
  verdict.acknowledged = report.value("acknowledged", 0);
  verdict.missing = report.value("missing", -1);
  verdict.doubled = report.value("doubled", 0);
  verdict.out_of_order = report.value("out_of_order", 0);
  verdict.content_differs = report.value("content_differs", 0);
  return verdict;
}

Verdict verify_settled(const Broker& broker, const std::string& ledger, std::chrono::milliseconds deadline,
                       const std::string& topic) {
  Verdict verdict;
  (void)eventually(
      deadline,
      [&] {
        verdict = verify(broker, ledger, topic);
        return verdict.ok() || verdict.hopeless();
      },
      std::chrono::milliseconds(500));
  return verdict;
}

std::int64_t option_of_test(const std::string& variable, std::int64_t otherwise) {
  const char* text = ::getenv(variable.c_str());
  return text == nullptr || *text == '\0' ? otherwise : std::strtoll(text, nullptr, 10);
}

std::uint64_t seed_of_test() {
  const auto seed = static_cast<std::uint64_t>(
      option_of_test("TRIBUTARY_SEED", static_cast<std::int64_t>(random_u64_from_os() >> 33)));
  std::fprintf(stderr, "seed %llu (repeat with TRIBUTARY_SEED=%llu)\n", static_cast<unsigned long long>(seed),
               static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace tributary::test
