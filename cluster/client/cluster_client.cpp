#include "cluster/client/cluster_client.h"

#include <algorithm>
#include <set>
#include <thread>

namespace tributary {
namespace {

// From 4 on a request can forbid auto-creation.
constexpr Versions kMetadataVersions{4, MetadataRequest::valid.max};
constexpr int kUnknownTopicRetries = 5;

Duration left_until(MonoTime deadline) { return deadline - system_clock().mono_now(); }

/// Sleeps a while; false if the deadline comes first.
bool wait_before_retry(int attempt, MonoTime deadline) {
  const auto wait = backoff(attempt);
  if (left_until(deadline) <= wait) return false;
  std::this_thread::sleep_for(wait);
  return true;
}

TopicInfo info_of(const MetadataResponse::Topic& topic) {
  TopicInfo info;
  info.name = topic.name.value_or("");
  info.internal = topic.is_internal;
  for (const auto& partition : topic.partitions)
    info.partitions.push_back({partition.index, partition.leader_id, partition.leader_epoch,
                               partition.replica_nodes, partition.isr_nodes});
  std::ranges::sort(info.partitions, {}, &PartitionInfo::index);
  return info;
}

std::string join(const std::vector<Endpoint>& endpoints) {
  std::string text;
  for (const auto& endpoint : endpoints) text += (text.empty() ? "" : ", ") + endpoint.url();
  return text;
}

}  // namespace

ClusterClient::ClusterClient(ClusterClientOptions options, std::vector<Endpoint> bootstrap)
    : options_(std::move(options)), bootstrap_(std::move(bootstrap)) {}
ClusterClient::~ClusterClient() = default;

Result<std::unique_ptr<ClusterClient>> ClusterClient::connect(ClusterClientOptions options,
                                                              MonoTime deadline) {
  if (options.bootstrap.empty()) return fail(Errc::kInvalidArgument, "no cluster address is given");
  std::vector<Endpoint> bootstrap;
  for (const auto& url : options.bootstrap) {
    ASSIGN_OR_RETURN(auto endpoint, parse_endpoint(url));
    if (!bootstrap.empty() && endpoint.kind != bootstrap.front().kind)
      return fail(Errc::kInvalidArgument, "cluster addresses must be all tcp:// or all kafka://");
    bootstrap.push_back(std::move(endpoint));
  }
  std::unique_ptr<ClusterClient> client(new ClusterClient(std::move(options), std::move(bootstrap)));
  RETURN_IF_ERROR(client->ask_metadata(std::vector<std::string>{}, AutoCreate::kNo, deadline));
  return client;
}

// ---- Asking ----------------------------------------------------------------------------------------

std::vector<Endpoint> ClusterClient::candidates() const {
  const std::lock_guard lock(mutex_);
  std::vector<Endpoint> found;
  const auto add = [&](const Endpoint& endpoint) {
    if (std::ranges::find(found, endpoint) == found.end()) found.push_back(endpoint);
  };
  if (last_answered_) add(*last_answered_);
  for (const auto& [id, endpoint] : brokers_) add(endpoint);
  for (const auto& endpoint : bootstrap_) add(endpoint);
  return found;
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::connection_to(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  auto& connection = connections_[endpoint.url()];
  if (!connection) {
    ASSIGN_OR_RETURN(connection, BrokerConnection::open(endpoint, options_.client_id, options_.answer_bytes_max));
  }
  return connection;
}

Result<std::vector<MetadataResponse::Topic>> ClusterClient::ask_one(const Endpoint& endpoint,
                                                                    const MetadataRequest& request,
                                                                    MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto connection, connection_to(endpoint));
  ASSIGN_OR_RETURN(auto answer, connection->call(request, deadline, kMetadataVersions));
  learn(answer.response, endpoint);
  return std::move(answer.response.topics);
}

Result<std::vector<MetadataResponse::Topic>> ClusterClient::ask_metadata(
    const std::optional<std::vector<std::string>>& names, AutoCreate auto_create, MonoTime deadline) {
  MetadataRequest request;
  request.allow_auto_topic_creation = auto_create == AutoCreate::kAllow;
  if (!names) request.topics.reset();
  else for (const auto& name : *names) request.topics->push_back({.topic_id = {}, .name = name});
  for (int attempt = 0;; ++attempt) {
    Error last{Errc::kTimeout, "no time left"};
    auto untried = candidates();
    const auto all = untried;
    for (; !untried.empty(); untried.erase(untried.begin())) {
      // A broker that hangs must leave time for the others.
      const auto share = left_until(deadline) / static_cast<std::int64_t>(untried.size());
      if (share <= Duration::zero()) break;
      auto topics = ask_one(untried.front(), request, deadline_in(std::min(share, options_.request_timeout)));
      if (topics) return topics;
      last = std::move(topics).error();
      if (last.code == Errc::kUnsupported) return tl::unexpected<Error>(std::move(last));
    }
    if (!wait_before_retry(attempt, deadline))
      return fail(Errc::kUnavailable, fmt::format("cannot reach the cluster at {} (last: {})", join(all), last.message));
  }
}

void ClusterClient::learn(const MetadataResponse& response, const Endpoint& answered) {
  std::map<BrokerId, Endpoint> brokers;
  for (const auto& broker : response.brokers) {
    if (broker.port < 1 || broker.port > 65535 || broker.host.empty()) continue;
    auto host = broker.host.find(':') == std::string::npos ? broker.host : "[" + broker.host + "]";
    brokers[broker.node_id] = {answered.kind, std::move(host), static_cast<std::uint16_t>(broker.port)};
  }
  // The only broker is the one that has just answered, whatever address it knows itself by.
  if (response.brokers.size() == 1) brokers[response.brokers.front().node_id] = answered;
  std::set<std::string> wanted{answered.url()};
  for (const auto& [id, endpoint] : brokers) wanted.insert(endpoint.url());
  std::vector<std::shared_ptr<BrokerConnection>> unused;  // closed outside of the lock
  const std::lock_guard lock(mutex_);
  cluster_id_ = response.cluster_id.value_or("");
  brokers_ = std::move(brokers);
  last_answered_ = answered;
  std::erase_if(connections_, [&](auto& entry) {
    if (wanted.contains(entry.first)) return false;
    unused.push_back(std::move(entry.second));
    return true;
  });
}

// ---- Topics ----------------------------------------------------------------------------------------

Result<TopicInfo> ClusterClient::topic(const std::string& name, MonoTime deadline, AutoCreate auto_create) {
  {
    const std::lock_guard lock(mutex_);
    const auto cached = topics_.find(name);
    if (cached != topics_.end() &&
        system_clock().mono_now() - cached->second.read_at < options_.metadata_age_max)
      return cached->second.info;
  }
  const auto what = fmt::format("topic {}", name);
  for (int attempt = 0;; ++attempt) {
    ASSIGN_OR_RETURN(const auto topics, ask_metadata(std::vector{name}, auto_create, deadline));
    const auto found = std::ranges::find(topics, std::optional(name), &MetadataResponse::Topic::name);
    if (found == topics.end())
      return fail(Errc::kCorrupt, what + ": the broker's answer does not speak of it");
    if (found->error_code == ErrorCode::kNone && !found->partitions.empty()) {
      auto info = info_of(*found);
      const std::lock_guard lock(mutex_);
      topics_[name] = {info, system_clock().mono_now()};
      return info;
    }
    // Right after its creation a topic has no leaders yet, or is not known to every broker; that passes.
    const auto code = found->error_code == ErrorCode::kNone ? ErrorCode::kLeaderNotAvailable : found->error_code;
    const bool unknown = code == ErrorCode::kUnknownTopicOrPartition;
    const bool passes = unknown ? auto_create == AutoCreate::kAllow && attempt < kUnknownTopicRetries
                                : retriable(code);
    if (passes && wait_before_retry(attempt, deadline)) continue;
    if (unknown) return fail(Errc::kNotFound, what + " does not exist");
    return fail_code(what, code);
  }
}

Result<std::vector<TopicInfo>> ClusterClient::topics(MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto topics, ask_metadata(std::nullopt, AutoCreate::kNo, deadline));
  std::vector<TopicInfo> infos;
  for (const auto& topic : topics) infos.push_back(info_of(topic));
  std::ranges::sort(infos, {}, &TopicInfo::name);
  return infos;
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::leader_of(const TopicPartition& partition,
                                                                   MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto info, topic(partition.topic, deadline));
  const auto found = std::ranges::find(info.partitions, partition.partition, &PartitionInfo::index);
  if (found == info.partitions.end())
    return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}; it has {}", partition.topic,
                                             partition.partition, info.partitions.size()));
  std::optional<Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    const auto broker = brokers_.find(found->leader);
    if (broker != brokers_.end()) endpoint = broker->second;
  }
  if (endpoint) return connection_to(*endpoint);
  forget(partition.topic);
  return fail(Errc::kUnavailable, fmt::format("partition {} has no leader at present", partition));
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::any_broker(MonoTime deadline) {
  RETURN_IF_ERROR(ask_metadata(std::vector<std::string>{}, AutoCreate::kNo, deadline));
  return connection_to(candidates().front());
}

std::vector<BrokerId> ClusterClient::brokers() const {
  const std::lock_guard lock(mutex_);
  std::vector<BrokerId> ids;
  for (const auto& [id, endpoint] : brokers_) ids.push_back(id);
  return ids;
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::broker(BrokerId id) {
  std::optional<Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = brokers_.find(id); found != brokers_.end()) endpoint = found->second;
  }
  if (!endpoint) return fail(Errc::kUnavailable, fmt::format("broker {} is not known at present", id));
  return connection_to(*endpoint);
}

void ClusterClient::forget(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  topics_.erase(topic);
}

std::string ClusterClient::cluster_id() const {
  const std::lock_guard lock(mutex_);
  return cluster_id_;
}

}  // namespace tributary
