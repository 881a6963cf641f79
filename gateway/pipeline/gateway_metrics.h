#pragma once
// What the gateway counts.

#include "common/telemetry/metrics.h"

namespace tributary {

/// References into the registry, which must outlive this.
struct GatewayMetrics {
  explicit GatewayMetrics(MetricsRegistry& registry);

  Counter& received;             // readings stored in the intake
  Counter& received_bytes;       // their payloads
  Counter& redelivered;          // recognised and dropped
  Counter& rejected_no_route;
  Counter& rejected_too_large;
  Counter& rejected_not_utf8;
  Counter& sealed;               // readings
  Counter& sealed_batches;
  Counter& sealed_bytes;         // of the batches
  Counter& spilled;              // readings
  Counter& spilled_batches;
  Counter& spilled_bytes;
  Counter& acked;                // readings
  Counter& acked_batches;
  Counter& lost;                 // readings of batches that were damaged on flash
  Counter& refused;              // readings of batches that the cluster refused for good
  Counter& buffer_errors;

  Gauge& intake_bytes;
  Gauge& intake_readings;
  Gauge& buffer_bytes;
  Gauge& buffer_oldest_age_seconds;
  Gauge& unacked_batches;        // sealed, on tmpfs or in flight; those waiting on flash not counted
  Gauge& cluster_connected;
  Gauge& mqtt_paused;            // 1: back-pressure, the MQTT broker queues
  Histogram& ack_seconds;        // from a batch's oldest reading to its acknowledgement, never spilled ones
};

/// Bytes that this process caused to be written to storage devices (tmpfs does not count): write_bytes
/// of /proc/self/io. 0 where there is none.
[[nodiscard]] double storage_written_bytes();

}  // namespace tributary
