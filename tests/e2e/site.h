#pragma once
// One site and one broker, as most end-to-end tests have them.

#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/mosquitto.h"
#include "tests/support/programs.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {

using namespace std::chrono_literals;

/// devices --> Mosquitto --[mqtt_line]--> gateway --[uplink_line]--> broker.
/// Nothing but Mosquitto runs at first.
struct Site {
  TempFolder folder;
  Mosquitto mosquitto;
  TcpProxy mqtt_line;
  Broker broker;
  TcpProxy uplink_line;
  Gateway gateway;

  explicit Site(Mosquitto::Start mosquitto_start = Mosquitto::Start::kNow)
      : mosquitto(folder.path(), mosquitto_start), mqtt_line(mosquitto.port()), broker(folder / "broker"),
        uplink_line(broker.nng_port()),
        gateway(folder / "gateway", url(mqtt_line.port()), url(uplink_line.port())) {
    // Else the metadata would lead the gateway past the line.
    broker.extra_args = {"--advertised-nng-port", std::to_string(uplink_line.port())};
  }

  [[nodiscard]] static std::string url(std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); }

  void start_all() {
    ASSERT_TRUE(broker.start_ready()) << broker.log();
    gateway.start();
    ASSERT_TRUE(wait_subscribed()) << gateway.log();
  }

  /// From then on Mosquitto keeps for the gateway what is published.
  [[nodiscard]] bool wait_subscribed(std::chrono::milliseconds deadline = 30s) {
    return eventually(deadline, [&] { return gateway.metric("tributary_gateway_mqtt_connected") == 1.0; });
  }

  [[nodiscard]] std::string ledger() const { return folder / "ledger.db"; }

  [[nodiscard]] Process start_devices(int devices, double rate, int seconds, std::uint64_t seed = 1) {
    FleetOptions options;
    options.mqtt_url = mosquitto.url();
    options.ledger = ledger();
    options.devices = devices;
    options.rate = rate;
    options.seconds = seconds;
    options.seed = seed;
    return start_fleet(folder.path(), options);
  }

  [[nodiscard]] std::string fleet_log() const { return read_whole_file(folder / "fleet.log"); }
};

}  // namespace tributary::test
