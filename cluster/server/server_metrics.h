#pragma once
// The broker's counters, looked up once.

#include <array>
#include <atomic>

#include "common/protocol/api.h"
#include "common/protocol/error_code.h"
#include "common/telemetry/metrics.h"

namespace tributary {

/// Thread-safe. `registry` must outlive it.
class ServerMetrics {
 public:
  explicit ServerMetrics(MetricsRegistry& registry);

  Counter& appended_batches;   // appends that wrote something
  Counter& appended_bytes;
  Counter& duplicate_appends;  // recognised by producer id and sequence
  Counter& fetched_bytes;
  Counter& fetch_waits;        // fetches that had to wait for data
  Counter& malformed_requests;
  Histogram& flush_seconds;    // one fdatasync
  Histogram& produce_seconds;  // from the frame's arrival to its answer
  Counter& flush_rounds;
  Counter& flushed_tickets;
  Counter& removed_segments;   // by retention and DeleteRecords
  Counter& cleanings;          // of compacted partitions
  Counter& failed_cleanings;
  Counter& postponed_cleanings;  // for want of space on the volume
  Counter& cleaned_records;    // taken away by them
  Gauge& partitions;
  Gauge& offline_logs;

  /// One answered request; `error` is the first error in its answer. Any thread.
  void count_request(ApiKey api, ErrorCode error);

 private:
  MetricsRegistry& registry_;
  // Requests without an error, by API key: the hot ones take no lock.
  static constexpr std::size_t kKnownApis = 80;
  std::array<std::atomic<Counter*>, kKnownApis> ok_{};
};

}  // namespace tributary
