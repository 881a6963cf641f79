#pragma once
// tributary topic create | list | describe | offsets | alter | delete

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct TopicFlags {
  std::string name;
  std::int32_t partitions = -1;
  std::int16_t replication_factor = -1;
  std::vector<std::string> configs;
  std::vector<std::string> unset;
  std::string at;
  std::int32_t partition = -1;  // -1: all
  bool if_not_exists = false;
  bool if_exists = false;
  bool json = false;
};

void declare_topic_commands(Settings& program, TopicFlags& flags);

[[nodiscard]] Result<> create_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> list_topics_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> describe_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> topic_offsets_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> alter_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> delete_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io);

}  // namespace tributary
