#include "gateway/app/gateway.h"

#include <unistd.h>

#include <cstdlib>

#include "common/config/exit_codes.h"
#include "common/telemetry/http_server.h"
#include "common/telemetry/log.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/pipeline/receiver.h"
#include "gateway/uplink/uplink.h"

namespace tributary {
namespace {

/// What an MQTT packet has beside what payload_bytes_max counts; also room for messages a little over it to
/// be dropped here, where they are counted.
constexpr std::uint32_t kBesidePayloadBytes = 128 << 10;

[[noreturn]] void end_process(const Error& error) {
  log_error("gateway", "the intake fails, ending: what is not stored must not be acknowledged",
            {{"reason", error.message}});
  std::_Exit(kExitFailure);
}

ForwarderOptions forwarder_options(const GatewayOptions& options, const IntakeBounds& bounds) {
  ForwarderOptions result;
  result.sealer.batch_bytes = options.batch_bytes;
  result.sealer.linger = options.linger;
  result.sealer.durable_within = options.durable_within;
  result.sealer.compression = parse_compression(options.compression).value_or(Compression::kZstd);
  result.intake_bytes_max = bounds.bytes_max;
  result.intake_room_min = bounds.room_min;
  result.buffer_bytes_max = options.buffer_bytes_max;
  return result;
}

MqttOptions mqtt_options(const GatewayOptions& options, const RouteTable& routes, const GatewayIdentity& identity) {
  MqttOptions result;
  result.url = options.mqtt_url;
  result.client_id = options.mqtt_client_id.empty()
                         ? fmt::format("tributary-gateway-{:016x}", identity.gateway_id)
                         : options.mqtt_client_id;
  result.username = options.mqtt_username;
  result.password = options.mqtt_password;
  result.receive_maximum = options.mqtt_receive_maximum;
  result.packet_bytes_max = static_cast<std::uint32_t>(options.payload_bytes_max) + kBesidePayloadBytes;
  for (const auto& subscription : routes.subscriptions()) {
    result.subscriptions.push_back({subscription.filter, subscription.qos});
  }
  return result;
}

}  // namespace

// In the order in which they depend on one another: destroyed from the end.
struct Gateway::Parts {
  Parts(const GatewayOptions& given, RouteTable table) : options(given), routes(std::move(table)) {}

  GatewayOptions options;
  RouteTable routes;
  MetricsRegistry registry;
  GatewayMetrics metrics{registry};
  std::unique_ptr<FlashBuffer> buffer;
  std::unique_ptr<Intake> intake;
  IntakeBounds intake_bounds;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<Uplink> uplink;
  std::unique_ptr<Forwarder> forwarder;
  std::unique_ptr<Receiver> receiver;
  std::unique_ptr<MqttSource> mqtt;
  std::unique_ptr<HttpServer> http;

  Result<> open_stores();
  Result<> start_pipeline();
  Result<> start_http();
};

Gateway::Gateway(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Gateway::~Gateway() { stop(); }

Result<> Gateway::Parts::open_stores() {
  ASSIGN_OR_RETURN(buffer, FlashBuffer::open({options.data}));
  IntakeOptions intake_options;
  intake_options.folder = options.intake;
  intake_options.allow_disk = options.intake_allow_disk;
  if (intake_options.folder.empty()) {
    ASSIGN_OR_RETURN(intake_options.folder, find_intake_folder(options.data));
  }
  ASSIGN_OR_RETURN(intake, Intake::open(intake_options));
  ASSIGN_OR_RETURN(intake_bounds, tributary::intake_bounds(intake_options.folder, options.intake_bytes_max));
  if (intake_bounds.bytes_max < options.intake_bytes_max) {
    log_warning("gateway", "the intake's file system is small: less is held than intake_bytes asks for",
                {{"folder", intake_options.folder},
                 {"asked", options.intake_bytes_max},
                 {"held_at_most", intake_bounds.bytes_max}});
  }
  if (const auto why = why_it_may_vanish(intake_options.folder, geteuid()); !why.empty()) {
    log_warning("gateway", "the intake's folder may be removed under the running gateway: choose another (--intake)",
                {{"folder", intake_options.folder}, {"why", why}});
  }
  ASSIGN_OR_RETURN(const bool on_tmpfs, is_on_tmpfs(intake_options.folder));
  if (!on_tmpfs) {
    log_warning("gateway", "the intake is not on tmpfs: every reading is a write to its disk",
                {{"folder", intake_options.folder}});
  }
  log_info("gateway", "opened", {{"gateway_id", fmt::format("{:016x}", buffer->identity().gateway_id)},
                                 {"data", options.data},
                                 {"buffer_bytes", buffer->used_bytes()},
                                 {"intake", intake_options.folder},
                                 {"intake_bytes", intake->level().bytes()}});
  return {};
}

Result<> Gateway::Parts::start_pipeline() {
  pipeline = std::make_unique<Pipeline>(*intake, system_clock(), end_process);
  UplinkOptions uplink_options;
  uplink_options.cluster = options.cluster;
  uplink_options.create_topics = options.create_topics;
  ASSIGN_OR_RETURN(uplink, Uplink::start(uplink_options, *pipeline));
  forwarder = std::make_unique<Forwarder>(forwarder_options(options, intake_bounds), routes, *intake, *buffer,
                                          *uplink, system_clock(), metrics, [this](bool paused) {
                                            if (paused) {
                                              mqtt->pause();
                                            } else {
                                              mqtt->resume();
                                            }
                                          });
  receiver = std::make_unique<Receiver>(Receiver::Options{options.payload_bytes_max}, routes, *intake,
                                        forwarder->pressure(), system_clock(), metrics, end_process);
  mqtt = std::make_unique<MqttSource>(mqtt_options(options, routes, buffer->identity()), *receiver);
  RETURN_IF_ERROR(forwarder->begin());
  pipeline->start(*forwarder);
  return mqtt->start();
}

Result<> Gateway::Parts::start_http() {
  registry.add_process_metrics("tributary-gateway", TRIBUTARY_VERSION);
  registry.callback("tributary_gateway_storage_written_bytes_total",
                    "Bytes that this process had written to storage devices; tmpfs is none",
                    storage_written_bytes);
  registry.callback("tributary_gateway_mqtt_connected", "1 while the MQTT session is connected and subscribed",
                    [this] { return mqtt->ready() ? 1.0 : 0.0; });
  registry.callback("tributary_gateway_mqtt_connects_total", "Accepted MQTT connections",
                    [this] { return static_cast<double>(mqtt->connects()); });
  HttpServer::Options http_options;
  http_options.host = options.http.host;
  http_options.port = options.http.port;
  http = std::make_unique<HttpServer>(
      http_options, registry, [] { return HealthReport{}; },
      [this]() -> HealthReport {
        if (mqtt->ready()) return {};
        return {false, metrics.mqtt_paused.value() > 0 ? "full, waiting for room in the buffer"
                                                       : "no MQTT session at " + options.mqtt_url};
      });
  RETURN_IF_ERROR(http->start());
  log_info("gateway", "serving health and metrics", {{"host", options.http.host}, {"port", http->port()}});
  return {};
}

Result<std::unique_ptr<Gateway>> Gateway::start(const GatewayOptions& options) {
  ASSIGN_OR_RETURN(auto routes, options.route_table());
  auto gateway = std::unique_ptr<Gateway>(new Gateway(std::make_unique<Parts>(options, std::move(routes))));
  RETURN_IF_ERROR(gateway->parts_->open_stores());
  RETURN_IF_ERROR(gateway->parts_->start_pipeline());
  RETURN_IF_ERROR(gateway->parts_->start_http());
  return gateway;
}

void Gateway::stop() {
  auto& parts = *parts_;
  if (parts.mqtt) parts.mqtt->stop();
  if (parts.pipeline && parts.forwarder) parts.pipeline->stop(parts.options.stop_grace);
  if (parts.uplink) parts.uplink->stop();
  if (parts.http) parts.http->stop();
}

}  // namespace tributary
