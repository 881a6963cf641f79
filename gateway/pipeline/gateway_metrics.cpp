#include "gateway/pipeline/gateway_metrics.h"

#include <fstream>

namespace tributary {
namespace {

constexpr const char* kRejected = "tributary_gateway_rejected_total";
constexpr const char* kRejectedHelp = "Messages that were not taken, by reason";

}  // namespace

GatewayMetrics::GatewayMetrics(MetricsRegistry& r)
    : received(r.counter("tributary_gateway_readings_total", "Readings stored in the intake")),
      received_bytes(r.counter("tributary_gateway_payload_bytes_total", "Payload bytes of stored readings")),
      redelivered(r.counter("tributary_gateway_redelivered_total",
                            "Messages recognised as delivered before, and dropped")),
      rejected_no_route(r.counter(kRejected, kRejectedHelp, {{"reason", "no_route"}})),
      rejected_too_large(r.counter(kRejected, kRejectedHelp, {{"reason", "too_large"}})),
      rejected_not_utf8(r.counter(kRejected, kRejectedHelp, {{"reason", "not_utf8"}})),
      sealed(r.counter("tributary_gateway_sealed_readings_total", "Readings sealed into batches")),
      sealed_batches(r.counter("tributary_gateway_sealed_batches_total", "Batches sealed")),
      sealed_bytes(r.counter("tributary_gateway_sealed_bytes_total", "Bytes of sealed batches")),
      spilled(r.counter("tributary_gateway_spilled_readings_total", "Readings moved to the flash buffer")),
      spilled_batches(r.counter("tributary_gateway_spilled_batches_total",
                                "Batches moved to the flash buffer")),
      spilled_bytes(r.counter("tributary_gateway_spilled_bytes_total",
                              "Bytes of batches moved to the flash buffer")),
      acked(r.counter("tributary_gateway_acked_readings_total",
                      "Readings that the cluster has acknowledged")),
      acked_batches(r.counter("tributary_gateway_acked_batches_total",
                              "Batches that the cluster has acknowledged")),
      lost(r.counter("tributary_gateway_lost_readings_total",
                     "Readings of batches that were found damaged on flash")),
      refused(r.counter("tributary_gateway_refused_readings_total",
                        "Readings of batches that the cluster refused for good")),
      buffer_errors(r.counter("tributary_gateway_buffer_errors_total",
                              "Failed transactions of the flash buffer")),
      intake_bytes(r.gauge("tributary_gateway_intake_bytes",
                           "Readings and sealed batches held on tmpfs, in bytes")),
      intake_readings(r.gauge("tributary_gateway_intake_readings", "Readings not sealed yet")),
      buffer_bytes(r.gauge("tributary_gateway_buffer_bytes", "Flash buffer in use, in bytes")),
      buffer_oldest_age_seconds(r.gauge("tributary_gateway_buffer_oldest_age_seconds",
                                        "Age of the oldest reading in the flash buffer")),
      unacked_batches(r.gauge("tributary_gateway_unacked_batches",
                              "Batches on tmpfs or in flight that are not acknowledged")),
      cluster_connected(r.gauge("tributary_gateway_cluster_connected", "1 while the cluster answers")),
      mqtt_paused(r.gauge("tributary_gateway_mqtt_paused",
                          "1 while the gateway leaves queueing to the MQTT broker")),
      ack_seconds(r.histogram("tributary_gateway_ack_seconds",
                              "From a batch's oldest reading to the cluster's acknowledgement",
                              latency_buckets_seconds())) {}

double storage_written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string key;
  double value = 0;
  while (io >> key >> value) {
    if (key == "write_bytes:") return value;
  }
  return 0;
}

}  // namespace tributary
