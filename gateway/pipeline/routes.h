#pragma once
// Routes: which MQTT messages become records of which log topic, and under which key.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace tributary {

/// As configured. In text: "FILTER -> TOPIC [key=TEMPLATE] [qos=0|1] [partitions=N]".
struct Route {
  std::string filter;           // MQTT topic filter
  std::string topic;            // of the log
  /// Of the records' key, which chooses the partition and so keeps a device's readings in order: text
  /// in which {N} stands for the MQTT topic's level N, counted from 0, and {topic} for the whole MQTT
  /// topic. Empty: the level of the filter's first wildcard ("sensors/+/+": {1}), or {topic} without one.
  std::string key;
  int qos = 1;
  std::int32_t partitions = 4;  // where the log topic does not exist yet
};

/// kInvalidArgument, quoting the text.
[[nodiscard]] Result<Route> parse_route(std::string_view text);

/// Checked routes. Immutable; any thread.
class RouteTable {
 public:
  /// kInvalidArgument names the route: a bad filter, topic, key, QoS (2: see MqttSource) or number
  /// of partitions, two routes that give one log topic different ones, two filters that partly overlap
  /// (the MQTT broker may then deliver a message twice). One filter may cover another: the first
  /// route that matches wins.
  [[nodiscard]] static Result<RouteTable> make(std::vector<Route> routes);

  /// The first route that matches, or null.
  [[nodiscard]] const Route* match(std::string_view mqtt_topic) const;

  /// The key of a message of this route; the whole MQTT topic where the template gives nothing.
  /// Valid as long as `mqtt_topic` and until `scratch` changes.
  [[nodiscard]] std::string_view key_of(const Route& route, std::string_view mqtt_topic,
                                        std::string& scratch) const;

  /// What to subscribe to, so that no message comes twice: filters that another one covers are left out.
  struct Subscription {
    std::string filter;
    int qos = 1;
  };
  [[nodiscard]] std::vector<Subscription> subscriptions() const;

  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

 private:
  // A template taken apart: literal text, or a level's number, or kWholeTopic.
  struct KeyPart {
    std::string text;
    int level = 0;
  };
  static Result<std::vector<KeyPart>> parse_key(const Route& route);

  std::vector<Route> routes_;
  std::vector<std::vector<KeyPart>> keys_;  // of routes_
};

}  // namespace tributary
