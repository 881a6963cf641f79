// tributary-bench: what the pipeline does, each figure beside what the machine can do in the same run.

#include <linux/magic.h>
#include <sys/vfs.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "common/config/exit_codes.h"
#include "common/config/settings.h"
#include "tests/bench/bench.h"

namespace tributary::bench {

void say(const std::string& what) { fmt::print(stderr, "{}\n", what); }

namespace {

struct Benchmark {
  char letter;
  Result<std::vector<Row>> (*run)(const Options&);
  std::string_view what;
};
constexpr Benchmark kBenchmarks[] = {
    {'a', gateway_ingest, "gateway ingest"}, {'b', durable_produce, "durable produce"}, {'c', kafka_fetch, "fetch"},
    {'d', flash_writes, "flash writes"},     {'e', memory, "memory"},                   {'f', latency, "latency"},
    {'g', small_records, "small records in and out"},           {'i', many_partitions, "many partitions"}};

Result<> on_a_disk(const std::string& folder) {
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) return fail_errno(folder);
  if (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC)
    return fail(Errc::kInvalidArgument, fmt::format("{} is in memory: name a folder on a disk", folder));
  return {};
}

int run_all(const Options& options, const std::string& only, bool as_json) {
  std::vector<Row> rows;
  bool failed = false;
  for (const auto& benchmark : kBenchmarks) {
    if (!only.empty() && only.find(benchmark.letter) == std::string::npos) continue;
    say(fmt::format("({}) {}", benchmark.letter, benchmark.what));
    auto found = benchmark.run(options);
    if (found) {
      rows.insert(rows.end(), found->begin(), found->end());
      continue;
    }
    failed = true;
    say(fmt::format("({}) failed: {}", benchmark.letter, found.error().message));
    rows.push_back({.figure = fmt::format("({}) {}", benchmark.letter, benchmark.what), .note = "see above"});
  }
  fmt::print("{}", as_json ? json(rows) : table(rows));
  if (failed) return kExitFailure;
  return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.ok(); }) ? kExitOk : kExitFailure;
}

}  // namespace
}  // namespace tributary::bench

int main(int argc, char** argv) {
  using namespace tributary;
  using namespace tributary::bench;
  Options options;
  std::string only;
  bool full = false, as_json = false;
  Settings settings({"tributary-bench", "Measures the pipeline, each figure beside its limit", TRIBUTARY_VERSION});
  settings.add("only", only, "Some of them: \"bc\" runs (b) and (c)").default_text("all");
  settings.add("folder", options.folder, "Temporary folders are made here; must be on a disk").placeholder("DIR");
  settings.add("runs", options.runs, "Runs per figure; the median is shown").range(1, 100);
  settings.add("full", full, "(e) for 10 minutes");
  settings.add("messages", options.messages, "(a) readings per run").range(1'000, 10'000'000);
  settings.add("produce_batches", options.produce_batches, "(b) batches per run").range(10, 1'000'000);
  settings.add("fetch_mib", options.fetch_mib, "(c) size of the topic").range(1, 65'536);
  settings.add("window_seconds", options.window_seconds, "(d), (f): one run").range(1, 3'600);
  settings.add("soak_seconds", options.soak_seconds, "(e) without --full").range(1, 86'400);
  settings.add("small_records", options.small_records, "(g), (h) records per run").range(1'000, 100'000'000);
  settings.add("json", as_json, "JSON instead of a table");
  settings.example("tributary-bench", "all figures, in about ten minutes");
  settings.example("tributary-bench --only bc --runs 3");
  if (const auto code = settings.parse(argc, argv)) return *code;
  if (full) options.soak_seconds = 600;
  if (only.find_first_not_of("abcdefghi") != std::string::npos) {
    say(fmt::format("--only {}: expected some of a to i; h comes with g", only));
    return kExitUsage;
  }
  if (const auto disk = on_a_disk(options.folder); !disk) {
    say(disk.error().message);
    return kExitUsage;
  }
  // The programs stand beside this one.
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  ::setenv("TRIBUTARY_BIN", here.c_str(), 0);
  return run_all(options, only, as_json);
}
