// (e) Resident memory: the gateway under 2,000 readings/s, the broker when idle.

#include "tests/bench/bench.h"
#include "tests/bench/pipeline.h"
#include "tests/support/eventually.h"

namespace tributary::bench {
namespace {

constexpr double kMiB = 1024 * 1024;

Result<double> idle_broker_mib(const Options& options) {
  const test::TempFolder folder(options.folder);
  test::Broker broker(folder / "broker");
  if (!broker.start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + broker.log());
  // What it allocates while idle (a metrics request, timers) it has allocated after a few seconds.
  (void)test::eventually(std::chrono::seconds(5), [&] { (void)broker.metric("up"); return false; },
                         std::chrono::milliseconds(500));
  ASSIGN_OR_RETURN(const auto bytes, resident_bytes(broker.process().pid()));
  return static_cast<double>(bytes) / kMiB;
}

}  // namespace

Result<std::vector<Row>> memory(const Options& options) {
  ASSIGN_OR_RETURN(const double broker_mib, idle_broker_mib(options));
  say(fmt::format("(e) idle broker: {:.1f} MiB", broker_mib));

  ASSIGN_OR_RETURN(auto pipeline, Pipeline::start(options.folder));
  ASSIGN_OR_RETURN(const auto load, run_fleet(*pipeline, steady_load(options.soak_seconds),
                                              std::chrono::seconds(options.soak_seconds + 120)));
  ASSIGN_OR_RETURN(const auto bytes, resident_bytes(pipeline->gateway().process().pid()));
  const double gateway_mib = static_cast<double>(bytes) / kMiB;
  const auto rate = static_cast<double>(load.acked) / load.seconds;
  say(fmt::format("(e) gateway after {:.0f} s at {}/s: {:.1f} MiB", load.seconds, grouped(rate), gateway_mib));
  const auto note = options.soak_seconds >= 600 ? std::string() : "shorter than 10 minutes, use --full";
  return std::vector<Row>{
      {.figure = fmt::format("(e) gateway RSS after {:.0f} s at {}/s", load.seconds, grouped(rate)),
       .measured = fmt::format("{:.1f} MiB", gateway_mib), .values = {gateway_mib}, .want = Want::kBelow, .target = 24,
       .unit = "MiB", .note = note},
      {.figure = "(e) idle broker RSS", .measured = fmt::format("{:.1f} MiB", broker_mib), .values = {broker_mib},
       .want = Want::kBelow, .target = 32, .unit = "MiB"}};
}

}  // namespace tributary::bench
