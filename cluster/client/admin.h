#pragma once
// Topics: create, list, describe, alter, delete.

#include <string>
#include <utility>
#include <vector>

#include "cluster/client/cluster_client.h"

namespace tributary {

struct NewTopic {
  std::string name;
  std::int32_t partitions = -1;         // -1: the broker's default
  std::int16_t replication_factor = -1;  // -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs;  // "retention.ms" -> "3600000"
};

struct TopicConfig {
  std::string name;
  std::string value;
  bool is_default = false;
};

struct PartitionOffsets {
  PartitionIndex index{0};
  Offset earliest{0};
  Offset latest{0};  // exclusive: the high watermark
};

struct TopicDescription {
  TopicInfo info;
  std::vector<PartitionOffsets> offsets;  // of partitions with a leader
  std::vector<TopicConfig> configs;       // by name
};

struct TopicAlteration {
  std::vector<std::pair<std::string, std::string>> set;  // configs and their values
  std::vector<std::string> unset;                        // configs that get their defaults back
};

/// Each call blocks until `deadline` at most; a request whose answer was lost may have been carried out.
/// kAlreadyExists. kInvalidArgument with the broker's reason (name, partitions, config).
[[nodiscard]] Result<> create_topic(ClusterClient& client, const NewTopic& topic, MonoTime deadline);
/// All of it or nothing. kNotFound. kInvalidArgument with the broker's reason; kUnsupported by the broker.
[[nodiscard]] Result<> alter_topic_configs(ClusterClient& client, const std::string& name,
                                           const TopicAlteration& alteration, MonoTime deadline);
/// Gives the topic `partitions` partitions, old ones included. kNotFound. kInvalidArgument with the broker's
/// reason: they must be more than there are; kUnsupported by the broker.
[[nodiscard]] Result<> add_partitions(ClusterClient& client, const std::string& name, std::int32_t partitions,
                                      MonoTime deadline);
/// kNotFound.
[[nodiscard]] Result<> delete_topic(ClusterClient& client, const std::string& name, MonoTime deadline);
/// kNotFound.
[[nodiscard]] Result<TopicDescription> describe_topic(ClusterClient& client, const std::string& name,
                                                      MonoTime deadline);

}  // namespace tributary
