#pragma once
// Metadata (key 3).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct MetadataResponse {
  static constexpr ApiKey api = ApiKey::kMetadata;
  static constexpr std::string_view name = "MetadataResponse";
  static constexpr Versions valid{0, 12}, flexible = from_version(9);

  struct Broker {
    BrokerId node_id{0};
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    static void fields(auto& m, auto& f) {
      f(m.node_id);
      f(m.host);
      f(m.port);
      f(m.rack, since(1).ignorable());
    }
    friend bool operator==(const Broker&, const Broker&) = default;
  };
  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    PartitionIndex index{0};
    BrokerId leader_id{0};
    LeaderEpoch leader_epoch{kNoLeaderEpoch};
    std::vector<BrokerId> replica_nodes;
    std::vector<BrokerId> isr_nodes;
    std::vector<BrokerId> offline_replicas;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.index);
      f(m.leader_id);
      f(m.leader_epoch, since(7).ignorable());
      f(m.replica_nodes);
      f(m.isr_nodes);
      f(m.offline_replicas, since(5).ignorable());
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> name = std::string();  // null from version 12, if asked by an unknown id
    Uuid topic_id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    std::int32_t authorized_operations = kAuthorizedOperationsOmitted;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.name, kAlways.nullable_since(12));
      f(m.topic_id, since(10).ignorable());
      f(m.is_internal, since(1).ignorable());
      f(m.partitions);
      f(m.authorized_operations, since(8));
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;
  BrokerId controller_id{kNoBroker};
  std::vector<Topic> topics;
  std::int32_t cluster_authorized_operations = kAuthorizedOperationsOmitted;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(3).ignorable());
    f(m.brokers);
    f(m.cluster_id, since(2).ignorable());
    f(m.controller_id, since(1).ignorable());
    f(m.topics);
    f(m.cluster_authorized_operations, between(8, 10));
  }
  friend bool operator==(const MetadataResponse&, const MetadataResponse&) = default;
};

/// Answers carry topic ids from version 10 on; a request may name a topic by its id from version 12 on.
struct MetadataRequest {
  using Response = MetadataResponse;
  static constexpr ApiKey api = ApiKey::kMetadata;
  static constexpr std::string_view name = "MetadataRequest";
  static constexpr Versions valid{0, 12}, flexible = from_version(9);

  struct Topic {
    Uuid topic_id;
    std::optional<std::string> name = std::string();
    static void fields(auto& m, auto& f) {
      f(m.topic_id, since(10).ignorable());
      f(m.name, kAlways.nullable_since(10));
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::vector<Topic>> topics = std::vector<Topic>{};
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  static void fields(auto& m, auto& f) {
    f(m.topics, kAlways.nullable_since(1));
    f(m.allow_auto_topic_creation, since(4));
    f(m.include_cluster_authorized_operations, between(8, 10));
    f(m.include_topic_authorized_operations, since(8));
  }
  friend bool operator==(const MetadataRequest&, const MetadataRequest&) = default;

  /// Null asks for all topics; before version 1, which has no null, an empty array does.
  [[nodiscard]] bool asks_for_all_topics(std::int16_t version) const {
    return version == 0 ? !topics || topics->empty() : !topics;
  }
};

}  // namespace tributary
