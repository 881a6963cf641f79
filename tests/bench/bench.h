#pragma once
// The benchmarks of tributary-bench, each against its limit.

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tests/bench/report.h"

namespace tributary::bench {

struct Options {
  std::string folder = "/var/tmp";  // temporary folders are made here; must be on a disk
  int runs = 5;
  std::int64_t messages = 100'000;  // (a) per run
  int produce_batches = 1'500;      // (b) per run
  int fetch_mib = 256;              // (c) the topic's size
  int window_seconds = 5;           // (d), (f): one run
  int soak_seconds = 30;            // (e)
  std::int64_t small_records = 1'000'000;  // (g), (h) per run
};

/// Each makes its processes and folders, and removes them. An error names the step that failed.
Result<std::vector<Row>> gateway_ingest(const Options& options);   // (a)
Result<std::vector<Row>> durable_produce(const Options& options);  // (b)
Result<std::vector<Row>> kafka_fetch(const Options& options);      // (c)
Result<std::vector<Row>> flash_writes(const Options& options);     // (d)
Result<std::vector<Row>> memory(const Options& options);           // (e)
Result<std::vector<Row>> latency(const Options& options);          // (f)
Result<std::vector<Row>> small_records(const Options& options);    // (g), (h)
Result<std::vector<Row>> many_partitions(const Options& options);  // (i)

using SteadyClock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

/// Says on standard error what goes on.
void say(const std::string& what);

}  // namespace tributary::bench
