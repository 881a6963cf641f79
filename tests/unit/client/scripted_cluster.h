#pragma once
// A cluster of brokers in memory, behind the real listeners, that can be told to misbehave.

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/client/cluster_client.h"
#include "common/record/record_batch.h"
#include "common/transport/kafka_tcp_server.h"
#include "common/transport/nng_server.h"
#include "common/transport/server.h"
#include "tests/unit/client/scripted_groups.h"

namespace tributary {

/// What befalls the next requests of one API.
struct ScriptedFault {
  ApiKey api{};
  int times = 1;
  std::optional<ErrorCode> code;  // answered per partition (or for the whole request)
  bool swallow_answer = false;    // carried out, but not answered: the connection breaks, or a timeout comes
};

struct ScriptedPartition {
  BrokerId leader{1};
  std::vector<Bytes> batches;  // with their offsets
  Offset start{0};
  Offset end{0};
  std::map<std::int64_t, std::pair<Sequence, Offset>> producers;  // id -> base sequence and offset of the last batch
};

class ScriptedCluster {
 public:
  ScriptedCluster(Endpoint::Kind kind, int brokers);
  ~ScriptedCluster();

  [[nodiscard]] std::string url(int broker = 0) const;
  void add_topic(const std::string& name, int partitions);
  void inject(ScriptedFault fault);
  void set_leader(const TopicPartition& partition, int broker);
  /// Records below are gone.
  void trim(const TopicPartition& partition, Offset start);
  void append(const TopicPartition& partition, Bytes batch);
  void flip_byte(const TopicPartition& partition, std::size_t batch, std::size_t at);
  [[nodiscard]] std::vector<Bytes> batches(const TopicPartition& partition);
  [[nodiscard]] int requests(ApiKey api);
  /// The group as it is now; made if there is none.
  [[nodiscard]] ScriptedGroup group(const std::string& id);
  /// Made if there is none. Its generation goes on.
  void set_group(const std::string& id, ScriptedGroup group);
  /// Of all groups; the others answer NOT_COORDINATOR.
  void set_coordinator(int broker);
  /// Closes the listener; its port stays known.
  void stop(int broker);

  bool auto_create = true;
  int partitions_of_new_topics = 2;

 private:
  class Node;
  std::optional<ScriptedFault> fault_for(ApiKey api);

  const Endpoint::Kind kind_;
  std::mutex mutex_;
  // under mutex_
  std::map<std::string, std::vector<ScriptedPartition>> topics_;
  std::map<std::string, std::string> altered_configs_;  // of whichever topic
  std::vector<ScriptedFault> faults_;
  std::map<ApiKey, int> requests_;
  std::int64_t next_producer_id_ = 1000;
  ScriptedGroups groups_;
  int coordinator_ = 0;

  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace tributary
