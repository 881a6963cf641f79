#pragma once
// A cluster as its clients see it: brokers, topics, and who leads which partition.

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/client/broker_connection.h"
#include "common/base/ids.h"
#include "common/protocol/messages/metadata.h"

namespace tributary {

struct ClusterClientOptions {
  /// Tried in turn; see parse_endpoint. All of one kind.
  std::vector<std::string> bootstrap{"tcp://127.0.0.1:9093"};
  std::string client_id = "tributary";
  Duration request_timeout = std::chrono::seconds(10);  // of one request; several may be tried
  Duration metadata_age_max = std::chrono::minutes(5);
  std::size_t answer_bytes_max = 128u << 20;
};

struct PartitionInfo {
  PartitionIndex index{0};
  BrokerId leader{kNoBroker};  // kNoBroker: none at present
  LeaderEpoch leader_epoch{kNoLeaderEpoch};
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> in_sync;
};

struct TopicInfo {
  std::string name;
  bool internal = false;
  std::vector<PartitionInfo> partitions;  // by rising index
};

/// The monotonic clock, by which deadlines go.
[[nodiscard]] MonoTime now();

/// Now plus `duration`.
[[nodiscard]] MonoTime deadline_in(Duration duration);

/// What a broker's error code means as an Error: kNotFound for unknown topics, kAlreadyExists,
/// kOutOfRange, kFenced, kUnavailable for all that are retriable ... The message is
/// "<what>: <KAFKAS_NAME>[ (<broker's message>)]".
[[nodiscard]] tl::unexpected<Error> fail_code(std::string_view what, ErrorCode code,
                                              const std::optional<std::string>& message = {});

/// Full jitter over an exponential: a random wait in [0, min(max, min << attempt)], at least 1 ms.
[[nodiscard]] Duration backoff(int attempt, Duration min = std::chrono::milliseconds(50),
                               Duration max = std::chrono::seconds(2));

/// Thread-safe. Every call blocks, at most until its deadline.
class ClusterClient {
 public:
  /// Reaches one of the bootstrap brokers and reads the list of brokers. Goes on trying until
  /// `deadline`, then kUnavailable with each address and why it failed. kInvalidArgument for a bad URL.
  [[nodiscard]] static Result<std::unique_ptr<ClusterClient>> connect(ClusterClientOptions options,
                                                                      MonoTime deadline);
  ~ClusterClient();
  ClusterClient(const ClusterClient&) = delete;
  ClusterClient& operator=(const ClusterClient&) = delete;

  enum class AutoCreate { kNo, kAllow };

  /// From the cache, or asked for. kNotFound if there is no such topic; with kAllow the broker may
  /// create it, and the call waits until it has.
  [[nodiscard]] Result<TopicInfo> topic(const std::string& name, MonoTime deadline,
                                        AutoCreate auto_create = AutoCreate::kNo);

  /// All topics, by name; always asked for.
  [[nodiscard]] Result<std::vector<TopicInfo>> topics(MonoTime deadline);

  /// The connection to the partition's leader. kNotFound (topic, partition), kUnavailable (no leader).
  [[nodiscard]] Result<std::shared_ptr<BrokerConnection>> leader_of(const TopicPartition& partition,
                                                                    MonoTime deadline);
  /// The broker that was last found to answer, for requests that any can take.
  [[nodiscard]] Result<std::shared_ptr<BrokerConnection>> any_broker(MonoTime deadline);

  /// The brokers as last read, by id.
  [[nodiscard]] std::vector<BrokerId> brokers() const;
  /// Does not ask. kUnavailable if the cluster did not name it when it was last asked.
  [[nodiscard]] Result<std::shared_ptr<BrokerConnection>> broker(BrokerId id);

  /// The next topic() or leader_of() asks the cluster: call it on NOT_LEADER_OR_FOLLOWER and the like.
  void forget(const std::string& topic);

  [[nodiscard]] const ClusterClientOptions& options() const { return options_; }
  [[nodiscard]] std::string cluster_id() const;

 private:
  struct CachedTopic {
    TopicInfo info;
    MonoTime read_at;
  };

  explicit ClusterClient(ClusterClientOptions options, std::vector<Endpoint> bootstrap);

  /// One Metadata request, to any broker that answers; refreshes the brokers. No names: all topics.
  [[nodiscard]] Result<std::vector<MetadataResponse::Topic>> ask_metadata(
      const std::optional<std::vector<std::string>>& names, AutoCreate auto_create, MonoTime deadline);
  [[nodiscard]] Result<std::vector<MetadataResponse::Topic>> ask_one(
      const Endpoint& endpoint, const MetadataRequest& request, MonoTime deadline);
  [[nodiscard]] Result<std::shared_ptr<BrokerConnection>> connection_to(const Endpoint& endpoint);
  [[nodiscard]] std::vector<Endpoint> candidates() const;
  void learn(const MetadataResponse& response, const Endpoint& answered);

  const ClusterClientOptions options_;
  const std::vector<Endpoint> bootstrap_;

  mutable std::mutex mutex_;
  // under mutex_
  std::string cluster_id_;
  std::map<BrokerId, Endpoint> brokers_;
  std::optional<Endpoint> last_answered_;
  std::map<std::string, CachedTopic> topics_;
  std::map<std::string, std::shared_ptr<BrokerConnection>> connections_;  // by URL
};

}  // namespace tributary
