#include "cluster/server/server_metrics.h"

namespace tributary {
namespace {

constexpr const char* kRequests = "tributary_broker_requests_total";
constexpr const char* kRequestsHelp = "Requests answered, by API and by the first error in the answer";

Counter& find(MetricsRegistry& registry, ApiKey api, ErrorCode error) {
  return registry.counter(kRequests, kRequestsHelp, {{"api", name_of(api)}, {"error", name_of(error)}});
}

}  // namespace

ServerMetrics::ServerMetrics(MetricsRegistry& registry)
    : appended_batches(registry.counter("tributary_broker_appends_total", "Produced record sets that were appended")),
      appended_bytes(registry.counter("tributary_broker_appended_bytes_total", "Bytes of record batches appended, as producers sent them")),
      duplicate_appends(registry.counter("tributary_broker_duplicate_appends_total",
                                         "Appends recognised as already in the log, and acknowledged as such")),
      fetched_bytes(registry.counter("tributary_broker_fetched_bytes_total", "Bytes of record batches given to consumers")),
      fetch_waits(registry.counter("tributary_broker_fetch_waits_total", "Fetches that waited for data")),
      malformed_requests(registry.counter("tributary_broker_malformed_requests_total",
                                          "Requests that could not be decoded or whose version is not served")),
      flush_seconds(registry.histogram("tributary_broker_flush_seconds", "Duration of one fdatasync",
                                       latency_buckets_seconds())),
      produce_seconds(registry.histogram("tributary_broker_produce_seconds",
                                         "From a produce request's arrival to its answer", latency_buckets_seconds())),
      flush_rounds(registry.counter("tributary_broker_flush_rounds_total", "Rounds of grouped fdatasync calls")),
      flushed_tickets(registry.counter("tributary_broker_flush_requests_total",
                                       "Requests of logs to be made durable; more than rounds: they were grouped")),
      removed_segments(registry.counter("tributary_broker_removed_segments_total",
                                        "Segments removed by retention and DeleteRecords")),
      cleanings(registry.counter("tributary_broker_cleanings_total", "Cleanings of compacted partitions")),
      failed_cleanings(registry.counter("tributary_broker_failed_cleanings_total", "Cleanings that came to nothing")),
      postponed_cleanings(registry.counter("tributary_broker_postponed_cleanings_total",
                                           "Cleanings put off because the volume has no room for cleaned segments")),
      cleaned_records(registry.counter("tributary_broker_cleaned_records_total",
                                       "Records that compaction took away: their keys have newer ones")),
      partitions(registry.gauge("tributary_broker_partitions", "Partitions that this broker serves")),
      offline_logs(registry.gauge("tributary_broker_offline_logs", "Partitions whose log is offline")),
      registry_(registry) {}

void ServerMetrics::count_request(ApiKey api, ErrorCode error) {
  const auto key = static_cast<std::size_t>(api);
  if (error != ErrorCode::kNone || key >= kKnownApis) return find(registry_, api, error).inc();
  auto* counter = ok_[key].load(std::memory_order_acquire);
  if (!counter) {
    counter = &find(registry_, api, error);  // the same object for every thread that gets here
    ok_[key].store(counter, std::memory_order_release);
  }
  counter->inc();
}

}  // namespace tributary
