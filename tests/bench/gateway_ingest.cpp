// (a) The gateway draining its persistent session at QoS 1, against mosquitto_sub draining the same.

#include "tests/bench/bench.h"
#include "tests/bench/pipeline.h"
#include "tests/support/eventually.h"

namespace tributary::bench {
namespace {

constexpr int kDevices = 50;
constexpr auto kDeadline = std::chrono::seconds(120);

std::vector<std::string> subscriber(Pipeline& pipeline, std::vector<std::string> more) {
  std::vector<std::string> command{"mosquitto_sub", "-p", std::to_string(pipeline.mosquitto().port()), "-i", "limit",
                                   "-c", "-q", "1", "-t", kFilter};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

/// Messages per second.
Result<double> drain_with_mosquitto_sub(Pipeline& pipeline, std::int64_t count) {
  const auto start = SteadyClock::now();
  test::Process process({.command = subscriber(pipeline, {"-C", std::to_string(count)})});
  const auto exit_code = process.wait(kDeadline);
  if (exit_code != 0) return fail(Errc::kTimeout, "mosquitto_sub has not drained its session");
  return static_cast<double>(count) / seconds_since(start);
}

/// Messages per second, from the first that the gateway's counter shows.
Result<double> drain_with_gateway(Pipeline& pipeline, std::int64_t count) {
  auto& gateway = pipeline.gateway();
  gateway.start();
  double first = 0;
  if (!test::eventually(kDeadline, [&] { return (first = gateway.metric(kReadingsIn).value_or(0)) > 0; },
                        std::chrono::milliseconds(2)))
    return fail(Errc::kTimeout, "the gateway takes no readings:\n" + gateway.log());
  const auto start = SteadyClock::now();
  RETURN_IF_ERROR(pipeline.wait_for(kReadingsIn, static_cast<double>(count), kDeadline));
  return (static_cast<double>(count) - first) / seconds_since(start);
}

}  // namespace

Result<std::vector<Row>> gateway_ingest(const Options& options) {
  const auto per_device = std::max<std::int64_t>(1, options.messages / kDevices);
  const auto count = per_device * kDevices;
  std::vector<double> figures, limits, ratios;
  for (int run = 0; run < options.runs; ++run) {
    // A fresh set of processes each time: nothing of one run is left in the next.
    ASSIGN_OR_RETURN(auto pipeline, Pipeline::start(options.folder));
    const auto subscribed = test::run(subscriber(*pipeline, {"-E"}));
    if (subscribed.exit_code != 0) return fail(Errc::kUnavailable, "mosquitto_sub -E: " + subscribed.errors);
    if (pipeline->gateway().terminate() != 0) return fail(Errc::kTimeout, "the gateway does not stop");
    ASSIGN_OR_RETURN(const auto loaded,
                     run_fleet(*pipeline, {"--devices", std::to_string(kDevices), "--rate", "0", "--count",
                                           std::to_string(per_device), "--payload-bytes", "200"}, kDeadline));
    if (loaded.acked != count) return fail(Errc::kUnavailable, fmt::format("{} of {} readings loaded", loaded.acked, count));
    const bool limit_first = run % 2 == 0;
    double limit = 0;
    if (limit_first) { ASSIGN_OR_RETURN(limit, drain_with_mosquitto_sub(*pipeline, count)); }
    ASSIGN_OR_RETURN(const double figure, drain_with_gateway(*pipeline, count));
    RETURN_IF_ERROR(pipeline->wait_for(kReadingsAcked, static_cast<double>(count), kDeadline));
    if (!limit_first) { ASSIGN_OR_RETURN(limit, drain_with_mosquitto_sub(*pipeline, count)); }
    figures.push_back(figure);
    limits.push_back(limit);
    ratios.push_back(figure / limit);
    say(fmt::format("(a) run {}: gateway {}/s, mosquitto_sub {}/s", run + 1, grouped(figure), grouped(limit)));
  }
  return std::vector<Row>{{.figure = "(a) gateway ingest, QoS 1, 200 B",
                           .measured = grouped(median(figures)) + " /s",
                           .limit = "mosquitto_sub " + grouped(median(limits)) + " /s",
                           .values = ratios, .want = Want::kAtLeast, .target = 0.60,
                           .note = fmt::format("{} readings a run", grouped(static_cast<double>(count)))}};
}

}  // namespace tributary::bench
