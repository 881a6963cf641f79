#pragma once
// From an MQTT message to a stored reading: on MQTT's thread, before the PUBACK.

#include <functional>
#include <string>
#include <vector>

#include "common/env/clock.h"
#include "common/telemetry/log.h"
#include "gateway/intake/intake.h"
#include "gateway/mqtt/mqtt_source.h"
#include "gateway/pipeline/gateway_metrics.h"
#include "gateway/pipeline/pressure.h"
#include "gateway/pipeline/routes.h"

namespace tributary {

/// One thread: MQTT's. What is given must outlive it.
class Receiver final : public MqttHandler {
 public:
  struct Options {
    // Payload, key, MQTT topic and user properties, each of which counts as 10 bytes more than its text.
    std::size_t payload_bytes_max = 1'000'000;
  };

  /// `fatal` is called when readings could not be stored: it must end the process and never return, for
  /// whatever returns to MQTT is acknowledged.
  Receiver(Options options, const RouteTable& routes, Intake& intake, Pressure& pressure, const Clock& clock,
           GatewayMetrics& metrics, std::function<void(const Error&)> fatal);

  /// A message without a route, over payload_bytes_max or with a topic that is not UTF-8 cannot be refused
  /// in MQTT: it is dropped, counted by reason, and logged (rate-limited, without its payload).
  void on_messages(std::span<const MqttMessage> messages) override;
  [[nodiscard]] std::int64_t position() override { return intake_.newest().value(); }
  void on_settled(std::span<const std::uint16_t> packet_ids, std::int64_t position) override {
    intake_.settle(packet_ids, ReadingId(position));
  }
  void on_connected(bool session_present) override;

 private:
  void prepare(const MqttMessage& message);
  void reject(Counter& counter, OncePer& log_turn, const char* reason, const MqttMessage& message);

  const Options options_;
  const RouteTable& routes_;
  Intake& intake_;
  Pressure& pressure_;
  const Clock& clock_;
  GatewayMetrics& metrics_;
  const std::function<void(const Error&)> fatal_;
  std::vector<Arrival> arrivals_;     // these three: of one call of on_messages
  std::vector<std::string> keys_;
  std::vector<StoreOutcome> outcomes_;
  OncePer no_route_turn_{std::chrono::minutes(1)};
  OncePer too_large_turn_{std::chrono::minutes(1)};
  OncePer not_utf8_turn_{std::chrono::minutes(1)};
};

}  // namespace tributary
