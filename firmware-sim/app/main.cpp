// tributary-fleet: many simulated devices, or a recording dealt out to them, publishing over MQTT.

#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "common/config/exit_codes.h"
#include "common/config/settings.h"
#include "common/env/random.h"
#include "common/env/file_system.h"
#include "common/env/signals.h"
#include "common/telemetry/log_settings.h"
#include "firmware-sim/app/summary.h"
#include "firmware-sim/fleet/fleet.h"

namespace tributary {
namespace {

constexpr double kSecondsMax = 1e8;  // three years

struct Options {
  FleetOptions fleet;
  std::string mqtt_version = "5";
  double seconds = 0;
  bool progress = false;
  std::string summary_json;
  LogSettings log;
};

void declare(Settings& settings, Options& o) {
  auto& f = o.fleet;
  settings.add("mqtt", f.mqtt_url, "The MQTT broker").placeholder("URL");
  settings.add("mqtt_version", o.mqtt_version, "The MQTT version that the devices speak").choices({"5", "3.1.1"});
  settings.add("devices", f.devices, "How many devices").range(1, 100'000);
  settings.add("connections", f.connections, "MQTT connections at most; more devices than that share them")
      .range(1, 100'000);
  settings.add("rate", f.rate, "Readings per second and device; 0: as fast as acknowledgements allow");
  settings.add("seconds", o.seconds, "Ends after so many seconds of publishing; 0: at SIGTERM or SIGINT");
  settings.add("count", f.count, "Ends after so many readings of each device; 0: no limit")
      .range(0, 1'000'000'000'000);
  settings.add("qos", f.qos, "MQTT quality of service").range(0, 2);
  settings.add("in_flight", f.in_flight, "Unacknowledged readings per device, at most").range(1, 65'535);
  settings.add("topic", f.topic, "The MQTT topic; {device} is replaced by the device's name").placeholder("PATTERN");
  settings.add("device_prefix", f.device_prefix, "Devices are called PREFIX0001, PREFIX0002, …").placeholder("PREFIX");
  settings.bytes("payload_bytes", f.payload_bytes, "Pads payloads up to this size").range("0B", "16MiB");
  settings.add("seed", f.seed, "Makes simulated values repeatable").default_text("random");
  settings.add("ledger", f.ledger_path, "Writes every acknowledged reading to this new SQLite file").placeholder("FILE");
  settings.add("replay", f.replay_path, "Publishes the records of a CSV or NDJSON file instead of simulated values")
      .placeholder("FILE");
  settings.add("connect_timeout", f.connect_timeout, "Fails if not all connections stand by then; 0s: tries for ever");
  settings.add("drain_timeout", f.drain_timeout, "How long to wait at the end for outstanding acknowledgements");
  settings.add("progress", o.progress, "A line a second on standard error, also when it is no terminal");
  settings.add("summary_json", o.summary_json, "Writes the final numbers to this file").placeholder("FILE");
  o.log.declare(settings);
  settings.check([&o]() -> Result<> {
    if (!(o.seconds >= 0 && o.seconds <= kSecondsMax))
      return fail(Errc::kInvalidArgument, fmt::format("seconds: {} is out of range, expected 0 to {}", o.seconds, kSecondsMax));
    return {};
  });
  settings.example("tributary-fleet --devices 50 --rate 40 --seconds 30 --ledger run.db",
                   "2,000 readings/s for half a minute, and what of it was acknowledged");
  settings.example("tributary-fleet --replay earthquakes.ndjson --devices 5 --rate 2", "a recording, over and over");
  settings.example("tributary-fleet --rate 0 --payload-bytes 200 --count 10000", "10,000 readings a device, flat out");
}

int run(Options& o, Settings& settings, StopSignal& stop) {
  o.fleet.mqtt_version = o.mqtt_version == "5" ? 5 : 3;
  o.fleet.run_for = Duration(static_cast<std::int64_t>(o.seconds * 1e9));
  if (!settings.given("seed")) o.fleet.seed = random_u64_from_os() >> 1;  // so that every reader of the number can hold it
  auto fleet = Fleet::create(o.fleet);
  if (!fleet) {
    fmt::print(stderr, "tributary-fleet: {}\n", fleet.error().message);
    return fleet.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  if (o.progress || isatty(STDERR_FILENO) == 1)
    (*fleet)->on_progress([before = FleetStats{}](const FleetStats& now) mutable {
      fmt::print(stderr, "{}\n", progress_line(before, now));
      before = now;
    });
  std::thread stopper([&] {
    stop.wait();
    (*fleet)->stop();
  });
  const auto stats = (*fleet)->run();
  stop.request();
  stopper.join();
  if (!stats) {
    fmt::print(stderr, "tributary-fleet: {}\n", stats.error().message);
    return kExitFailure;
  }
  fmt::print("{}", summary_text(o.fleet, *stats));
  if (!o.summary_json.empty()) {
    const auto json = summary_json(o.fleet, *stats);
    if (auto written = write_file_atomically(posix_file_system(), o.summary_json, as_bytes(json)); !written) {
      fmt::print(stderr, "tributary-fleet: {}: {}\n", o.summary_json, written.error().message);
      return kExitFailure;
    }
  }
  return kExitOk;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  auto& stop = StopSignal::install();
  Options options;
  Settings settings({"tributary-fleet", "Simulated devices that publish readings over MQTT", TRIBUTARY_VERSION});
  declare(settings, options);
  if (const auto code = settings.parse(argc, argv)) return *code;
  options.log.apply();
  return run(options, settings, stop);
}
