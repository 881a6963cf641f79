#include "cluster/server/broker.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "cluster/metadata/sqlite_metadata_store.h"
#include "cluster/server/compactor.h"
#include "cluster/server/controller.h"
#include "cluster/server/internal_topics.h"
#include "cluster/server/request_router.h"
#include "cluster/server/retention_round.h"
#include "cluster/server/server_metrics.h"
#include "cluster/server/shard_groups.h"
#include "cluster/storage/flusher.h"
#include "common/env/random.h"
#include "common/telemetry/log.h"
#include "common/telemetry/metrics.h"
#include "common/transport/kafka_tcp_server.h"
#include "common/transport/nng_server.h"

namespace tributary {
namespace {

std::size_t shard_count(const BrokerOptions& options) {
  if (options.shards > 0) return options.shards;
  return std::max(1u, std::thread::hardware_concurrency());
}

bool is_every_address(std::string_view host) { return host.empty() || host == "0.0.0.0" || host == "::" || host == "*"; }

std::string machine_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "localhost";
}

std::string advertised_host(const BrokerOptions& options, std::string_view listener_host) {
  if (!options.advertised_host.empty()) return options.advertised_host;
  return is_every_address(listener_host) ? machine_name() : std::string(listener_host);
}

/// "tcp://[::1]:9093" -> "::1"
std::string host_of_url(std::string_view url) {
  const auto scheme = url.find("://");
  auto rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  rest = rest.substr(0, rest.rfind(':'));
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  return std::string(rest);
}

std::uint16_t port_of_url(std::string_view url) {
  unsigned port = 0;
  for (const char c : url.substr(url.rfind(':') + 1)) {
    if (c < '0' || c > '9' || port > 65'535) return 0;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port > 65'535 ? 0 : static_cast<std::uint16_t>(port);
}

Flusher::Observer flush_observer(ServerMetrics& metrics) {
  return {.on_sync = [&metrics](Duration took) {
            metrics.flush_seconds.observe(std::chrono::duration<double>(took).count());
          },
          .on_round = [&metrics](std::size_t tickets, std::size_t) {
            metrics.flush_rounds.inc();
            metrics.flushed_tickets.inc(tickets);
          }};
}

}  // namespace

struct Broker::Impl {
  Impl(BrokerOptions given, MetricsRegistry& registry_in, FileSystem& fs_in, const Clock& clock_in)
      : options(std::move(given)), registry(registry_in), fs(fs_in), clock(clock_in), metrics(registry_in) {}

  // constant after construction
  const BrokerOptions options;
  MetricsRegistry& registry;
  FileSystem& fs;
  const Clock& clock;
  ServerMetrics metrics;
  const TopicSettings defaults = topic_defaults(options);

  // under mutex
  mutable std::mutex mutex;
  std::string not_ready = "starting";
  std::map<TopicPartition, std::string> offline;  // why

  // In the order of their making; the starting and stopping thread's, and constant between.
  std::vector<std::unique_ptr<Shard>> shards;
  std::unique_ptr<LogDirectory> directory;
  std::unique_ptr<SqliteMetadataStore> store;
  std::unique_ptr<Flusher> flusher;
  std::unique_ptr<PartitionServices> services;
  std::unique_ptr<Compactor> compactor;
  std::unique_ptr<Controller> controller;
  std::vector<std::unique_ptr<ShardGroups>> groups;
  std::unique_ptr<ServerContext> context;
  std::unique_ptr<RequestRouter> router;
  std::vector<std::unique_ptr<RetentionRound>> retention;  // one per shard
  std::unique_ptr<KafkaTcpServer> kafka;
  std::unique_ptr<NngServer> nng;
  bool serving = false;

  Result<> open_data();
  Result<Uuid> cluster_id();
  void start_groups();
  Result<> listen();
  void add_listener_metrics();
  [[nodiscard]] std::function<void(const std::string&)> say_listener_trouble(const char* listener) const;
  void log_start(MonoTime since) const;
  void quiesce();
  Result<> close_data();
  void on_offline(const TopicPartition& partition, const Error& why);
  void on_deleted(const TopicPartition& partition);
  void drain_shards();
};

Broker::Broker(BrokerOptions options, MetricsRegistry& metrics, FileSystem& fs, const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), metrics, fs, clock)) {}

Broker::~Broker() { impl_->quiesce(); }

Result<> Broker::start() {
  auto& impl = *impl_;
  const auto since = impl.clock.mono_now();
  for (std::size_t i = 0; i < shard_count(impl.options); ++i) {
    impl.shards.push_back(std::make_unique<Shard>(i, fmt::format("shard-{}", i)));
    impl.shards.back()->start();
  }
  impl.serving = true;
  auto started = impl.open_data();
  if (started) started = impl.listen();
  if (!started) {
    // A port in use must not cost the next start a recovery.
    impl.quiesce();
    (void)impl.close_data();
    return started;
  }
  {
    const std::scoped_lock lock(impl.mutex);
    impl.not_ready.clear();
  }
  impl.log_start(since);
  return {};
}

Result<> Broker::Impl::open_data() {
  ASSIGN_OR_RETURN(directory, LogDirectory::open(fs, clock, {.folder = options.data, .broker_id = options.node_id}));
  const auto database = options.data + "/metadata.db";
  if (!posix_file_system().exists(database) && !directory->found().empty())
    return fail(Errc::kCorrupt, fmt::format("{} is missing, but the data folder holds {} partitions: put it back, or "
                                            "start with an empty folder", database, directory->found().size()));
  ASSIGN_OR_RETURN(store, SqliteMetadataStore::open(database));
  ASSIGN_OR_RETURN(const auto cluster, cluster_id());

  flusher = std::make_unique<Flusher>(fs, clock, flush_observer(metrics));
  services = std::make_unique<PartitionServices>(PartitionServices{
      fs, clock, *flusher, metrics,
      [this](const TopicPartition& partition, const Error& why) { on_offline(partition, why); },
      [this](const TopicPartition& partition) { on_deleted(partition); },
      [this](const TopicPartition& partition) { compactor->leave(partition); }, nullptr});
  compactor = std::make_unique<Compactor>(options.compactor, shards, *services);
  controller = std::make_unique<Controller>(options, defaults, *directory, *store, *services, shards);
  RETURN_IF_ERROR(controller->open());
  context.reset(new ServerContext{options, defaults, shards, metrics, clock, to_string(cluster), controller.get(), groups,
                                  advertised_host(options, options.kafka_host),
                                  advertised_host(options, host_of_url(options.nng_url))});
  router = std::make_unique<RequestRouter>(*context);
  start_groups();
  controller->start();
  compactor->start();
  for (const auto& shard : shards) {
    retention.push_back(std::make_unique<RetentionRound>(*shard, options.retention_check_interval));
    shard->post([round = retention.back().get()] { round->begin(); });
  }
  return {};
}

void Broker::Impl::start_groups() {
  GroupOptions group_options = options.groups;
  group_options.offsets_partitions = options.offsets_topic_partitions;
  // How many there are was settled when the topic was created: groups are spread by that.
  shards.front()->run_and_wait([&] {
    if (const auto* topic = shards.front()->image()->find(kOffsetsTopic)) {
      group_options.offsets_partitions = topic->topic.partitions;
    }
  });
  for (const auto& shard : shards) groups.push_back(std::make_unique<ShardGroups>(group_options, *shard, clock));
  for (const auto& one : groups) one->start();
}

Result<Uuid> Broker::Impl::cluster_id() {
  const auto folder_id = parse_uuid(directory->cluster_id());
  if (!folder_id)
    return fail(Errc::kCorrupt, fmt::format("{}/meta.properties: cluster.id '{}' is not a cluster id", options.data,
                                            directory->cluster_id()));
  auto done = std::make_shared<std::promise<Result<Uuid>>>();
  auto future = done->get_future();
  TopicRegistry(*store).cluster_id(*folder_id, [done](Result<Uuid> id) { done->set_value(std::move(id)); });
  auto id = future.get();
  if (id && *id != *folder_id)
    return fail(Errc::kInvalidArgument, fmt::format("{}/metadata.db belongs to cluster {}, the data folder to {}",
                                                    options.data, to_string(*id), to_string(*folder_id)));
  return id;
}

Result<> Broker::Impl::listen() {
  std::vector<asio::io_context*> loops;
  for (const auto& shard : shards) loops.push_back(&shard->context());
  // Known before the first request where they are given; where the system chooses, nobody can connect
  // before start() has told the port.
  const auto pick = [](std::uint16_t advertised, std::uint16_t bound) { return advertised ? advertised : bound; };
  context->kafka_port = pick(options.advertised_kafka_port, options.kafka_port);
  context->nng_port = pick(options.advertised_nng_port, port_of_url(options.nng_url));

  KafkaTcpServerOptions tcp;
  tcp.host = options.kafka_host;
  tcp.port = options.kafka_port;
  tcp.frame_bytes_max = options.frame_bytes_max;
  tcp.connections_max = options.connections_max;
  tcp.on_event = say_listener_trouble("kafka");
  ASSIGN_OR_RETURN(kafka, KafkaTcpServer::start(tcp, loops, *router));
  context->kafka_port = pick(options.advertised_kafka_port, kafka->port());

  NngServerOptions messages;
  messages.url = options.nng_url;
  messages.frame_bytes_max = std::min(options.frame_bytes_max, messages.frame_bytes_max);
  messages.pipes_max = options.connections_max;
  messages.on_event = say_listener_trouble("nng");
  ASSIGN_OR_RETURN(nng, NngServer::start(messages, loops, *router));
  context->nng_port = pick(options.advertised_nng_port, nng->port());
  add_listener_metrics();
  return {};
}

/// Peers can make as much of it as they like.
std::function<void(const std::string&)> Broker::Impl::say_listener_trouble(const char* listener) const {
  auto trouble = std::make_shared<OncePer>(std::chrono::seconds(10), clock);
  return [trouble, listener](const std::string& event) {
    if (const auto turn = trouble->turn())
      log_warning("listener", event, {{"listener", listener}, {"unsaid", turn.suppressed}});
  };
}

void Broker::Impl::add_listener_metrics() {
  const auto add = [this](const char* name, const char* help, const char* listener,
                          const std::atomic<std::uint64_t>& value) {
    registry.callback(name, help, [&value] { return static_cast<double>(value.load(std::memory_order_relaxed)); },
                      {{"listener", listener}});
  };
  const auto& k = kafka->stats();
  const auto& n = nng->stats();
  constexpr auto* kOpen = "tributary_broker_connections";
  constexpr auto* kOpenHelp = "Connections that are open";
  add(kOpen, kOpenHelp, "kafka", k.connections_open);
  add(kOpen, kOpenHelp, "nng", n.pipes_open);
  constexpr auto* kAccepted = "tributary_broker_connections_accepted_total";
  add(kAccepted, "Connections accepted", "kafka", k.connections_accepted);
  add(kAccepted, "Connections accepted", "nng", n.pipes_accepted);
  constexpr auto* kRefused = "tributary_broker_connections_refused_total";
  add(kRefused, "Connections over the limit, closed at once", "kafka", k.connections_refused);
  add(kRefused, "Connections over the limit, closed at once", "nng", n.pipes_refused);
  constexpr auto* kMalformed = "tributary_broker_malformed_frames_total";
  add(kMalformed, "Frames with an impossible length", "kafka", k.malformed);
  add(kMalformed, "Frames with an impossible length", "nng", n.malformed);
  add("tributary_broker_dropped_requests_total", "Requests over a connection's limit, dropped unanswered", "nng",
      n.requests_dropped);
  registry.callback("tributary_broker_nng_reaper_stuck", "1: nng gives back no ended connections any more; restart at leisure",
                    [&n] { return n.reaper_stuck.load(std::memory_order_relaxed) ? 1.0 : 0.0; }, {});
  constexpr auto* kIn = "tributary_broker_received_bytes_total";
  add(kIn, "Bytes received", "kafka", k.bytes_in);
  add(kIn, "Bytes received", "nng", n.bytes_in);
  constexpr auto* kOut = "tributary_broker_sent_bytes_total";
  add(kOut, "Bytes sent", "kafka", k.bytes_out);
  add(kOut, "Bytes sent", "nng", n.bytes_out);
}

void Broker::Impl::log_start(MonoTime since) const {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock.mono_now() - since);
  log_info("broker", "ready",
           {{"cluster_id", context->cluster_id}, {"node_id", options.node_id}, {"data", options.data},
            {"kafka", fmt::format("{}:{}", options.kafka_host, kafka->port())}, {"nng", nng->url()},
            {"partitions", metrics.partitions.value()},
            {"shards", shards.size()}, {"clean_stop_before", directory->was_clean()}, {"took_ms", took.count()}});
}

void Broker::Impl::on_offline(const TopicPartition& partition, const Error& why) {
  log_error("broker", "a log is offline", {{"partition", fmt::to_string(partition)}, {"error", why.message}});
  const std::scoped_lock lock(mutex);
  offline[partition] = why.message;
  metrics.offline_logs.set(static_cast<double>(offline.size()));
}

void Broker::Impl::on_deleted(const TopicPartition& partition) {
  const std::scoped_lock lock(mutex);
  offline.erase(partition);
  metrics.offline_logs.set(static_cast<double>(offline.size()));
}

// ---- Stopping --------------------------------------------------------------------------------------

/// Runs what was posted, and what that posts in turn: an operation crosses shards a few times at most.
void Broker::Impl::drain_shards() {
  for (int round = 0; round < 6; ++round)
    for (const auto& shard : shards) shard->run_and_wait([] {});
}

/// Nothing moves any more, and nobody holds a responder; the logs are as they are.
void Broker::Impl::quiesce() {
  if (!serving) return;
  serving = false;
  {
    const std::scoped_lock lock(mutex);
    not_ready = "stopping";
  }
  if (kafka) kafka->stop();
  if (nng) nng->stop();
  if (compactor) compactor->stop();
  if (controller) {
    controller->stop();
    controller->close_partitions();
  }
  for (const auto& one : groups) one->stop();
  drain_shards();
  if (flusher) flusher->stop();
  drain_shards();
  for (const auto& shard : shards) shard->stop();
}

Result<> Broker::Impl::close_data() {
  // Without a context no log has been written to: the folder is as clean as it was.
  if (!context) return directory && directory->was_clean() ? directory->mark_clean_shutdown() : Result<>{};
  RETURN_IF_ERROR(controller->close_logs());
  return directory->mark_clean_shutdown();
}

Result<> Broker::stop() {
  impl_->quiesce();
  auto closed = impl_->close_data();
  if (closed) log_info("broker", "stopped", {{"data", impl_->options.data}});
  return closed;
}

// ---- Asking ----------------------------------------------------------------------------------------

std::uint16_t Broker::kafka_port() const { return impl_->kafka->port(); }
std::uint16_t Broker::nng_port() const { return impl_->nng->port(); }
std::string Broker::nng_url() const { return impl_->nng->url(); }
std::string Broker::cluster_id() const { return impl_->context->cluster_id; }

HealthReport Broker::readiness() const {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->not_ready.empty()) return {false, impl_->not_ready};
  if (impl_->offline.empty()) return {};
  const auto& [partition, why] = *impl_->offline.begin();
  return {false, fmt::format("log {} is offline: {}", partition, why)};
}

}  // namespace tributary
