#include "gateway/app/options.h"

namespace tributary {
namespace {

void declare_route(SettingGroup& group, Route& route) {
  group.add("filter", route.filter, "MQTT topic filter, such as \"sensors/+/+\"").required();
  group.add("topic", route.topic, "The log topic").required();
  group.add("key", route.key, "The records' key: {N} is the MQTT topic's level N from 0, {topic} all of it")
      .default_text("the level of the filter's first wildcard");
  group.add("qos", route.qos, "QoS of the subscription: 0 or 1");
  group.add("partitions", route.partitions, "Partitions of the log topic if it is created");
}

}  // namespace

void GatewayOptions::declare(Settings& settings) {
  settings.add("mqtt", mqtt_url, "The MQTT broker").placeholder("URL");
  settings.add("cluster", cluster, "Brokers of the cluster, their nng addresses").placeholder("URL");
  settings.add("data", data, "The folder on flash: identity and buffer").placeholder("DIR");
  settings.add("intake", intake, "The folder on tmpfs for readings that are not sealed and sent yet")
      .placeholder("DIR")
      .default_text("found under /run/tributary, $XDG_RUNTIME_DIR or /dev/shm");
  settings.add("http", http, "Health and Prometheus metrics");
  settings.flag_only("--route", route_texts,
                     "\"FILTER -> TOPIC [key=TEMPLATE] [qos=0|1] [partitions=N]\"")
      .placeholder("ROUTE");
  settings.tables<Route>("route", routes, "Which MQTT messages become records of which log topic", declare_route);

  settings.add("durable_within", durable_within,
               "A reading that the cluster does not acknowledge in this time is written to flash")
      .range("50ms", "1h");
  settings.add("linger", linger,
               "How long a reading waits for company while the uplink is idle; at most half of durable_within")
      .range("0ms", "10s");
  settings.bytes("batch_bytes", batch_bytes, "Size of a batch before compression, at most").range("1KiB", "900KiB");
  settings.add("compression", compression, "Codec of the batches").choices({"none", "gzip", "snappy", "lz4", "zstd"});
  settings.bytes("payload_bytes_max", payload_bytes_max,
                 "A larger MQTT message (payload, topic, key, and user properties at 10 bytes and their text) "
                 "is dropped and counted; far larger ones the MQTT broker drops")
      .range("1KiB", "1000KB");
  settings.add("create_topics", create_topics, "Create log topics that do not exist");

  settings.bytes("intake_bytes", intake_bytes_max, "Readings held on tmpfs, at most; never more than 60 % of it")
      .flag("--intake-bytes")
      .range("1MiB", "64GiB");
  settings.add("intake_allow_disk", intake_allow_disk,
               "Take an intake folder that is not on tmpfs: every reading is then a write to it");
  settings.bytes("buffer.bytes", buffer_bytes_max, "Flash used for batches, at most").range("64KiB", "16TiB");
  settings.add("buffer.when_full", buffer_full,
               "reject: disconnect from MQTT and let its broker queue until there is room")
      .check([](const std::string& text) -> Result<> {
        if (text == "reject") return {};
        if (text == "drop-oldest") {
          return fail(Errc::kUnsupported, "drop-oldest is not built yet, expected \"reject\"");
        }
        return fail(Errc::kInvalidArgument, "expected \"reject\"");
      });

  settings.add("mqtt_client_id", mqtt_client_id, "Names the session at the MQTT broker")
      .default_text("tributary-gateway- and the gateway's id");
  settings.add("mqtt_username", mqtt_username, "For an MQTT broker that asks for it");
  settings.add("mqtt_password", mqtt_password, "Better given in the file: others can see flags").secret();
  settings.add("mqtt_receive_maximum", mqtt_receive_maximum, "Unacknowledged messages that the MQTT broker sends ahead")
      .range(1, 1000);
  settings.add("stop_grace", stop_grace, "How long a stop waits for acknowledgements before the rest goes to flash")
      .range("0ms", "10m");
  log.declare(settings);
  settings.check([this]() -> Result<> {
    RETURN_IF_ERROR(route_table());
    if (cluster.empty()) return fail(Errc::kInvalidArgument, "cluster: give at least one address");
    if (linger > durable_within / 2) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("linger: {} is more than half of durable_within ({}): readings would be written to "
                              "flash before the cluster can acknowledge them",
                              format_duration(linger), format_duration(durable_within)));
    }
    return {};
  });
  settings.example("tributary-gateway --route 'sensors/+/+ -> readings'",
                   "Mosquitto and a broker on this machine; the device is level 1 of the MQTT topic");
  settings.example("tributary-gateway --mqtt tcp://127.0.0.1:1883 --cluster tcp://log.example.org:9093 "
                   "--data /var/lib/tributary --config /etc/tributary/gateway.toml",
                   "a site's gateway");
}

Result<RouteTable> GatewayOptions::route_table() const {
  auto all = routes;
  for (const auto& text : route_texts) {
    ASSIGN_OR_RETURN(auto route, parse_route(text));
    all.push_back(std::move(route));
  }
  return RouteTable::make(std::move(all));
}

}  // namespace tributary
