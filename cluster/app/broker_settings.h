#pragma once
// The settings of tributary-broker: what BrokerOptions can say, and the program's own.

#include <chrono>
#include <string>

#include "cluster/server/broker_options.h"
#include "common/config/settings.h"
#include "common/telemetry/log_settings.h"

namespace tributary {

/// Declare, parse, then apply: the options hold what was given, or a default.
class BrokerSettings {
 public:
  BrokerSettings();
  BrokerSettings(const BrokerSettings&) = delete;
  BrokerSettings& operator=(const BrokerSettings&) = delete;

  /// As Settings::parse: an exit code if there is nothing more to do.
  [[nodiscard]] std::optional<int> parse(int argc, const char* const* argv);

  // After parse().
  [[nodiscard]] const BrokerOptions& options() const { return options_; }
  [[nodiscard]] const HostPort& http() const { return http_; }
  void apply_log_settings() const { log_.apply(); }

 private:
  void declare_listeners();
  void declare_topics();
  void declare_storage();
  void declare_compaction();
  void declare_groups();

  BrokerOptions options_;
  std::int32_t node_id_ = options_.node_id.value();
  HostPort kafka_{options_.kafka_host, options_.kafka_port};
  HostPort http_{"127.0.0.1", 9094};
  std::string flush_ = "always";
  std::chrono::milliseconds session_timeout_min_{options_.groups.session_timeout_min_ms};
  std::chrono::milliseconds session_timeout_max_{options_.groups.session_timeout_max_ms};
  std::chrono::milliseconds initial_rebalance_delay_{options_.groups.initial_rebalance_delay_ms};
  std::chrono::milliseconds offsets_retention_{options_.groups.offsets_retention_ms};
  LogSettings log_;
  Settings settings_;
};

}  // namespace tributary
