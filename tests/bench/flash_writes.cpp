// (d) What the gateway writes to flash per byte of MQTT payload: with a healthy uplink, and with none.

#include "tests/bench/bench.h"
#include "tests/bench/pipeline.h"

namespace tributary::bench {
namespace {

constexpr auto kSettle = std::chrono::seconds(30);

/// One window of load; `settled` waits until the gateway has done with it.
template <class Settled>
Result<double> written_per_byte(Pipeline& pipeline, const Options& options, Settled settled) {
  const auto pid = pipeline.gateway().process().pid();
  ASSIGN_OR_RETURN(const auto before, disk_bytes_written(pid));
  ASSIGN_OR_RETURN(const auto load, run_fleet(pipeline, steady_load(options.window_seconds),
                                              std::chrono::seconds(options.window_seconds + 60)));
  RETURN_IF_ERROR(settled(load.acked));
  ASSIGN_OR_RETURN(const auto after, disk_bytes_written(pid));
  return static_cast<double>(after - before) / static_cast<double>(load.payload_bytes);
}

}  // namespace

Result<std::vector<Row>> flash_writes(const Options& options) {
  ASSIGN_OR_RETURN(auto pipeline, Pipeline::start(options.folder));
  auto& gateway = pipeline->gateway();
  double total = 0;

  std::vector<double> healthy, down;
  for (int run = 0; run <= options.runs; ++run) {
    ASSIGN_OR_RETURN(const double ratio, written_per_byte(*pipeline, options, [&](std::int64_t acked) -> Result<> {
      total += static_cast<double>(acked);
      auto waited = pipeline->wait_for(kReadingsAcked, total, kSettle);
      if (!waited) return tl::unexpected<Error>(waited.error());
      return {};
    }));
    if (run == 0) continue;  // the first has the start in it
    healthy.push_back(ratio);
    say(fmt::format("(d) uplink healthy, run {}: {:.4f} bytes to flash per payload byte", run, ratio));
  }

  pipeline->broker().kill();
  for (int run = 0; run < options.runs; ++run) {
    ASSIGN_OR_RETURN(const double ratio, written_per_byte(*pipeline, options, [&](std::int64_t acked) -> Result<> {
      total += static_cast<double>(acked);
      auto waited = pipeline->wait_for(kReadingsIn, total, kSettle);
      if (!waited) return tl::unexpected<Error>(waited.error());
      // All of it is on flash once the buffer holds as many readings.
      waited = pipeline->wait_for(kReadingsSpilled, total - gateway.metric(kReadingsAcked).value_or(0), kSettle);
      if (!waited) return tl::unexpected<Error>(waited.error());
      return {};
    }));
    down.push_back(ratio);
    say(fmt::format("(d) uplink down, run {}: {:.3f} bytes to flash per payload byte", run + 1, ratio));
  }
  return std::vector<Row>{
      {.figure = "(d) flash writes per payload byte, uplink healthy", .measured = fmt::format("{:.4f}", median(healthy)),
       .values = healthy, .want = Want::kAtMost, .target = 0},
      {.figure = "(d) flash writes per payload byte, uplink down", .measured = fmt::format("{:.3f}", median(down)),
       .values = down, .want = Want::kAtMost, .target = 0.5}};
}

}  // namespace tributary::bench
