#pragma once
// The gateway's settings.

#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/telemetry/log_settings.h"
#include "gateway/pipeline/routes.h"

namespace tributary {

struct GatewayOptions {
  std::string mqtt_url = "tcp://127.0.0.1:1883";
  std::string mqtt_client_id;  // empty: from the gateway's id
  std::string mqtt_username;
  std::string mqtt_password;
  std::uint16_t mqtt_receive_maximum = 500;
  std::vector<std::string> cluster{"tcp://127.0.0.1:9093"};
  bool create_topics = true;
  std::string data = "./gateway-data";
  std::string intake;  // empty: found
  bool intake_allow_disk = false;
  HostPort http{"127.0.0.1", 9095};
  std::vector<std::string> route_texts;
  std::vector<Route> routes;

  Duration durable_within = std::chrono::seconds(1);
  Duration linger = std::chrono::milliseconds(5);
  std::uint64_t batch_bytes = 256 << 10;
  std::string compression = "zstd";
  std::uint64_t payload_bytes_max = 1'000'000;
  std::uint64_t intake_bytes_max = 64 << 20;
  std::uint64_t buffer_bytes_max = 1u << 30;
  std::string buffer_full = "reject";
  Duration stop_grace = std::chrono::seconds(3);
  LogSettings log;

  /// Declares all; this object must outlive `settings`.
  void declare(Settings& settings);
  /// The routes of the file and of the flags together.
  [[nodiscard]] Result<RouteTable> route_table() const;
};

}  // namespace tributary
