// (f) From a device's publication (the reading's "ts") to a native consumer, at 2,000 readings/s.

#include <charconv>

#include "cluster/client/consumer.h"
#include "tests/bench/bench.h"
#include "tests/bench/pipeline.h"

namespace tributary::bench {
namespace {

/// The milliseconds of `"ts":` in a reading.
std::optional<std::int64_t> timestamp_of(std::string_view reading) {
  constexpr std::string_view kKey = "\"ts\":";
  const auto at = reading.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  std::int64_t ms = 0;
  const auto* from = reading.data() + at + kKey.size();
  if (std::from_chars(from, reading.data() + reading.size(), ms).ec != std::errc()) return std::nullopt;
  return ms;
}

double wall_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Consumes until told to end; the latencies, in ms, of what has arrived.
class LatencyProbe {
 public:
  explicit LatencyProbe(ClusterClient& client) : consumer_(client) {}
  ~LatencyProbe() { (void)end(); }

  Result<> start(ClusterClient& client) {
    const TopicPartition partition{kTopic, PartitionIndex(0)};
    ASSIGN_OR_RETURN(const auto offsets, resolve_offsets(client, {{partition, StartAt::latest()}},
                                                         deadline_in(std::chrono::seconds(10))));
    consumer_.assign(partition, offsets[0]);
    thread_ = std::thread([this] { run(); });
    return {};
  }
  Result<std::vector<double>> end() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    if (failed_) return tl::unexpected<Error>(*failed_);
    return latencies_ms_;
  }

 private:
  void run() {
    Decompressor decompressor;
    while (!ending_) {
      auto batches = consumer_.poll(std::chrono::milliseconds(100));
      const double now = wall_ms();
      if (!batches) failed_ = batches.error();
      if (failed_) return;
      for (const auto& batch : *batches) {
        auto read = for_each_record(batch, decompressor, 64u << 20, [&](const RecordView& record) {
          // "ts" is cut to whole milliseconds, so this is up to 1 ms too long.
          if (const auto ts = record.value ? timestamp_of(as_string_view(*record.value)) : std::nullopt)
            latencies_ms_.push_back(now - static_cast<double>(*ts));
          return true;
        });
        if (!read) failed_ = read.error();
      }
    }
  }

  Consumer consumer_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
  std::vector<double> latencies_ms_;  // the thread's until it has ended
  std::optional<Error> failed_;
};

/// For who has to find out where readings got stuck.
std::string where_they_are(Pipeline& pipeline) {
  const auto gateway = [&](const char* name) {
    return pipeline.gateway().metric(fmt::format("tributary_gateway_{}", name)).value_or(-1);
  };
  return fmt::format("the gateway took {:.0f}, spilled {:.0f}, the broker acknowledged {:.0f} and appended {:.0f} batches, "
                     "{:.0f} fetches waited",
                     gateway("readings_total"), gateway("spilled_readings_total"), gateway("acked_readings_total"),
                     pipeline.broker().metric("tributary_broker_appends_total").value_or(-1),
                     pipeline.broker().metric("tributary_broker_fetch_waits_total").value_or(-1));
}

double percentile(std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

Result<std::vector<Row>> latency(const Options& options) {
  ASSIGN_OR_RETURN(auto pipeline, Pipeline::start(options.folder));
  ASSIGN_OR_RETURN(auto client, ClusterClient::connect({.bootstrap = {pipeline->broker().nng_url()}},
                                                       deadline_in(std::chrono::seconds(20))));
  RETURN_IF_ERROR(run_fleet(*pipeline, steady_load(2), std::chrono::seconds(60)));  // warms up
  std::vector<double> p50s, p99s, worst;
  for (int run = 0; run < options.runs; ++run) {
    LatencyProbe probe(*client);
    RETURN_IF_ERROR(probe.start(*client));
    ASSIGN_OR_RETURN(const auto load, run_fleet(*pipeline, steady_load(options.window_seconds),
                                                std::chrono::seconds(options.window_seconds + 60)));
    ASSIGN_OR_RETURN(auto latencies, probe.end());
    if (static_cast<double>(latencies.size()) < 0.9 * static_cast<double>(load.acked))
      return fail(Errc::kUnavailable, fmt::format("{} of {} readings reached the consumer; {}", latencies.size(), load.acked,
                                                  where_they_are(*pipeline)));
    std::sort(latencies.begin(), latencies.end());
    p50s.push_back(percentile(latencies, 0.50));
    p99s.push_back(percentile(latencies, 0.99));
    worst.push_back(latencies.back());
    say(fmt::format("(f) run {}: {} readings, p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms", run + 1, latencies.size(),
                    p50s.back(), p99s.back(), worst.back()));
  }
  return std::vector<Row>{{.figure = "(f) publish to native consumer at 2,000/s, p99",
                           .measured = fmt::format("p50 {:.1f} ms, p99 {:.1f} ms", median(p50s), median(p99s)),
                           .values = p99s, .want = Want::kBelow, .target = 30, .unit = "ms",
                           .note = fmt::format("max {:.0f} ms", *std::max_element(worst.begin(), worst.end()))}};
}

}  // namespace tributary::bench
