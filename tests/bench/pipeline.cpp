#include "tests/bench/pipeline.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "tests/bench/kafka_socket.h"
#include "tests/support/eventually.h"

namespace tributary::bench {
namespace {

// Without set_tcp_nodelay, Nagle's algorithm and delayed acknowledgements together may hold a small packet
// back for up to 40 ms.
constexpr const char* kMosquittoSettings = "set_tcp_nodelay true\nmax_queued_bytes 0\n";

/// The number after `label` at the start of a line of a /proc file.
Result<std::int64_t> proc_number(pid_t pid, const std::string& file, std::string_view label) {
  const auto text = fmt::format("\n{}", test::read_whole_file(fmt::format("/proc/{}/{}", pid, file)));
  const auto line = text.find(fmt::format("\n{}", label));
  if (line == std::string::npos) return fail(Errc::kNotFound, fmt::format("/proc/{}/{}: no {}", pid, file, label));
  const auto digit = text.find_first_of("0123456789", line + label.size());
  std::int64_t number = 0;
  std::from_chars(text.data() + digit, text.data() + text.size(), number);
  return number;
}

}  // namespace

Pipeline::Pipeline(const std::string& parent)
    : folder_(parent), mosquitto_(folder_.path(), kMosquittoSettings), broker_(folder_ / "broker"),
      gateway_(folder_ / "gateway", mosquitto_.url(), broker_.nng_url(), fmt::format("{} -> {}", kFilter, kTopic)) {}

Result<std::unique_ptr<Pipeline>> Pipeline::start(const std::string& parent) {
  std::unique_ptr<Pipeline> made(new Pipeline(parent));
  if (!made->broker_.start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + made->broker_.log());
  ASSIGN_OR_RETURN(auto socket, KafkaSocket::connect(made->broker_.kafka_port()));
  RETURN_IF_ERROR(create_topic(socket, kTopic));
  if (!made->gateway_.start_ready()) return fail(Errc::kUnavailable, "the gateway does not start:\n" + made->gateway_.log());
  return made;
}

Result<double> Pipeline::wait_for(const char* metric, double count, std::chrono::seconds deadline) {
  const auto start = std::chrono::steady_clock::now();
  double last = -1;
  if (!test::eventually(deadline, [&] { return (last = gateway_.metric(metric).value_or(-1)) >= count; },
                        std::chrono::milliseconds(10)))
    return fail(Errc::kTimeout, fmt::format("{} is {} after {} s, expected {}", metric, last, deadline.count(), count));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<FleetRun> run_fleet(Pipeline& pipeline, std::vector<std::string> flags, std::chrono::seconds deadline) {
  const auto summary = pipeline.path("fleet.json");
  flags.insert(flags.begin(), {test::program_path("tributary-fleet"), "--mqtt", pipeline.mosquitto().url(),
                               "--summary-json", summary, "--log-level", "error", "--drain-timeout", "60s"});
  const auto ended = test::run(flags, deadline);
  if (ended.exit_code != 0)
    return fail(Errc::kUnavailable, fmt::format("tributary-fleet ended with {}: {}", ended.exit_code, ended.errors));
  const auto json = nlohmann::json::parse(test::read_whole_file(summary), nullptr, false);
  if (json.is_discarded()) return fail(Errc::kCorrupt, "tributary-fleet wrote no summary");
  if (json["acked"] != json["published"])
    return fail(Errc::kUnavailable, fmt::format("tributary-fleet: {} of {} readings acknowledged",
                                                json["acked"].dump(), json["published"].dump()));
  return FleetRun{json["acked"], json["payload_bytes"], json["seconds"]};
}

std::vector<std::string> steady_load(int seconds) {
  return {"--devices", "50", "--rate", "40", "--seconds", std::to_string(seconds)};
}

Result<std::int64_t> disk_bytes_written(pid_t pid) { return proc_number(pid, "io", "write_bytes:"); }

Result<std::int64_t> resident_bytes(pid_t pid) {
  ASSIGN_OR_RETURN(const auto kib, proc_number(pid, "status", "VmRSS:"));
  return kib * 1024;
}

}  // namespace tributary::bench
