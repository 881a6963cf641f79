#pragma once
// What the request handlers share.

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cluster/server/broker_options.h"
#include "cluster/server/topic_settings.h"
#include "common/env/clock.h"
#include "common/transport/server.h"

namespace tributary {

class Controller;
class ServerMetrics;
class Shard;
class ShardGroups;

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};

/// Constant while requests are served, but for the ports.
struct ServerContext {
  const BrokerOptions& options;
  const TopicSettings& topic_defaults;
  std::vector<std::unique_ptr<Shard>>& shards;
  ServerMetrics& metrics;
  const Clock& clock;
  std::string cluster_id;
  Controller* controller = nullptr;
  std::vector<std::unique_ptr<ShardGroups>>& groups;  // one for each shard

  // Where clients of each listener are told to connect.
  std::string kafka_host;
  std::string nng_host;
  std::atomic<std::uint16_t> kafka_port{0};
  std::atomic<std::uint16_t> nng_port{0};

  [[nodiscard]] Endpoint endpoint(Listener listener) const {
    if (listener == Listener::kNng) return {nng_host, nng_port.load(std::memory_order_relaxed)};
    return {kafka_host, kafka_port.load(std::memory_order_relaxed)};
  }
};

}  // namespace tributary
