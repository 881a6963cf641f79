#pragma once
// tributary consume

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct ConsumeFlags {
  std::string topic;                // one by flag,
  std::vector<std::string> topics;  // and those by argument
  std::string group;                // empty: none
  std::string instance_id;          // empty: not a static member
  std::string assignors;            // by comma; empty: the client's default
  Duration commit_interval = std::chrono::seconds(5);
  std::string from = "earliest";
  std::int32_t partition = -1;  // -1: all
  std::string format = "text";
  bool follow = false;
  std::int64_t messages_max = -1;  // -1: no limit
};

void declare_consume_command(Settings& program, ConsumeFlags& flags);
[[nodiscard]] Result<> consume_command(const ClusterFlags& cluster, const ConsumeFlags& flags, const CommandIo& io);

/// Partitions of a topic, or the one that is asked for. kNotFound names what there is.
[[nodiscard]] Result<std::vector<TopicPartition>> partitions_of(ClusterClient& client, const std::string& topic,
                                                                std::int32_t only, MonoTime deadline);

}  // namespace tributary
