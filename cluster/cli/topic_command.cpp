#include "cluster/cli/topic_command.h"

#include "cluster/cli/start_text.h"
#include "cluster/cli/text.h"
#include "cluster/client/admin.h"
#include "common/base/topic_name.h"
#include "common/config/settings.h"

namespace tributary {
namespace {

std::string id_list(const std::vector<BrokerId>& ids) {
  std::string text;
  for (const auto id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id);
  return text.empty() ? "-" : text;
}

Result<std::vector<std::pair<std::string, std::string>>> configs_of(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> configs;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Errc::kInvalidArgument, fmt::format("--set \"{}\": expected KEY=VALUE", text));
    configs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return configs;
}

std::string json_of(const std::string& text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string json_of(const TopicDescription& topic) {
  auto out = fmt::format("{{\"name\":{},\"internal\":{},\"partitions\":[", json_of(topic.info.name), topic.info.internal);
  for (std::size_t i = 0; i < topic.info.partitions.size(); ++i) {
    const auto& partition = topic.info.partitions[i];
    out += fmt::format("{}{{\"partition\":{},\"leader\":{},\"leader_epoch\":{},\"replicas\":[{}],\"in_sync\":[{}]",
                       i > 0 ? "," : "", partition.index, partition.leader, partition.leader_epoch,
                       fmt::join(partition.replicas, ","), fmt::join(partition.in_sync, ","));
    for (const auto& offsets : topic.offsets)
      if (offsets.index == partition.index)
        out += fmt::format(",\"earliest\":{},\"latest\":{}", offsets.earliest, offsets.latest);
    out += '}';
  }
  out += "],\"configs\":{";
  for (std::size_t i = 0; i < topic.configs.size(); ++i)
    out += fmt::format("{}{}:{}", i > 0 ? "," : "", json_of(topic.configs[i].name), json_of(topic.configs[i].value));
  return out + "}}\n";
}

std::string text_of(const TopicDescription& topic) {
  auto out = fmt::format("topic {}{}, {} partitions\n\n", topic.info.name, topic.info.internal ? " (internal)" : "",
                         topic.info.partitions.size());
  out += fmt::format("{:>9} {:>7} {:>6} {:>12} {:>12} {:>12}  {:<12} {}\n", "PARTITION", "LEADER", "EPOCH", "EARLIEST",
                     "LATEST", "RECORDS", "REPLICAS", "IN SYNC");
  for (const auto& partition : topic.info.partitions) {
    std::string earliest = "-", latest = "-", records = "-";
    for (const auto& offsets : topic.offsets) {
      if (offsets.index != partition.index) continue;
      earliest = fmt::format("{}", offsets.earliest);
      latest = fmt::format("{}", offsets.latest);
      records = std::to_string(offsets.latest - offsets.earliest);
    }
    out += fmt::format("{:>9} {:>7} {:>6} {:>12} {:>12} {:>12}  {:<12} {}\n", partition.index.value(),
                       partition.leader == kNoBroker ? "none" : std::to_string(partition.leader.value()),
                       partition.leader_epoch.value(), earliest, latest, records, id_list(partition.replicas),
                       id_list(partition.in_sync));
  }
  out += "\n";
  for (const auto& config : topic.configs)
    out += fmt::format("{} = {}{}\n", config.name, config.value, config.is_default ? "" : "  (set on the topic)");
  return out;
}

}  // namespace

void declare_topic_commands(Settings& program, TopicFlags& flags) {
  auto& topic = program.command("topic", "Creates, lists, describes, alters and deletes topics");
  auto& create = topic.command("create", "Creates a topic. Exit code 1 if it exists already or is refused");
  create.argument("NAME", flags.name, "1 to 249 of a-z A-Z 0-9 . _ -");
  create.flag_only("--partitions,-p", flags.partitions, "How many partitions").placeholder("N")
      .default_text("the broker's num.partitions");
  create.flag_only("--replication-factor", flags.replication_factor, "How many brokers hold each partition")
      .placeholder("N").default_text("the broker's");
  create.flag_only("--set", flags.configs, "A configuration of the topic").placeholder("KEY=VALUE");
  create.flag_only("--if-not-exists", flags.if_not_exists, "An existing topic is no error");
  create.example("tributary topic create readings --partitions 4");
  create.example("tributary topic create raw --set segment.bytes=67108864 --if-not-exists");
  auto& list = topic.command("list", "Lists all topics, one a line: name and number of partitions");
  list.flag_only("--json", flags.json, "One JSON object a line");
  list.example("tributary topic list");
  auto& describe = topic.command("describe", "Shows a topic's partitions, offsets and configuration. Exit code 1 if there is none");
  describe.argument("NAME", flags.name, "The topic");
  describe.flag_only("--json", flags.json, "As one JSON object");
  describe.example("tributary topic describe readings");
  auto& offsets = topic.command("offsets", "Shows where each partition begins and ends and how many offsets lie between, "
                                           "or with --at the offset of a place in it. Exit code 1 if there is no topic");
  offsets.argument("NAME", flags.name, "The topic");
  offsets.flag_only("--at", flags.at, "Where: earliest, latest, max-timestamp (the record with the largest time) or the "
                                      "first record of this time or later: 2026-07-01T12:00:00Z or @1700000000000 "
                                      "(milliseconds since 1970)")
      .placeholder("PLACE").default_text("both ends")
      .check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_place(text));
        return {};
      });
  offsets.flag_only("--partition,-p", flags.partition, "Only this partition").placeholder("N").range(0, 1'000'000)
      .default_text("all");
  offsets.flag_only("--json", flags.json, "One JSON object a line");
  offsets.example("tributary topic offsets readings", "how many records each partition holds; fewer if it is compacted");
  offsets.example("tributary topic offsets readings --at 2026-07-01T12:00:00Z", "where that day's noon begins");
  offsets.example("tributary topic offsets readings --at max-timestamp --partition 0 --json");
  auto& alter = topic.command("alter", "Changes a topic's configuration, or gives it more partitions; with both, the "
                                       "configuration first. Takes effect at once. Exit code 1 if it is refused");
  alter.argument("NAME", flags.name, "The topic");
  alter.flag_only("--set", flags.configs, "A configuration of the topic").placeholder("KEY=VALUE");
  alter.flag_only("--unset", flags.unset, "A configuration that gets the broker's default back").placeholder("KEY");
  alter.flag_only("--partitions,-p", flags.partitions, "How many partitions there are to be. Keys move: a record's "
                                                       "partition follows from its key and this number")
      .placeholder("N").default_text("as many as there are");
  alter.example("tributary topic alter readings --set segment.ms=3600000 --unset segment.bytes");
  alter.example("tributary topic alter readings --partitions 8");
  auto& remove = topic.command("delete", "Deletes a topic and all its records, at once and for good");
  remove.argument("NAME", flags.name, "The topic");
  remove.flag_only("--if-exists", flags.if_exists, "A missing topic is no error");
  remove.example("tributary topic delete readings");
}

Result<> create_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  RETURN_IF_ERROR(validate_topic_name(flags.name));
  NewTopic topic{flags.name, flags.partitions, flags.replication_factor, {}};
  ASSIGN_OR_RETURN(topic.configs, configs_of(flags.configs));
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto created = create_topic(*client, topic, deadline_in(cluster.timeout));
  if (!created && created.error().code == Errc::kAlreadyExists && flags.if_not_exists)
    return io.output.write(fmt::format("topic {} exists already\n", flags.name));
  if (!created) return created;
  return io.output.write(fmt::format("created topic {}\n", flags.name));
}

Result<> list_topics_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  ASSIGN_OR_RETURN(const auto topics, client->topics(deadline_in(cluster.timeout)));
  std::size_t width = 0;
  for (const auto& topic : topics) width = std::max(width, topic.name.size());
  for (const auto& topic : topics) {
    if (flags.json)
      RETURN_IF_ERROR(io.output.write(fmt::format("{{\"name\":{},\"partitions\":{},\"internal\":{}}}\n",
                                                  json_of(topic.name), topic.partitions.size(), topic.internal)));
    else
      RETURN_IF_ERROR(io.output.write(fmt::format("{:<{}}  {}\n", topic.name, width, topic.partitions.size())));
  }
  return {};
}

Result<> describe_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  ASSIGN_OR_RETURN(const auto topic, describe_topic(*client, flags.name, deadline_in(cluster.timeout)));
  return io.output.write(flags.json ? json_of(topic) : text_of(topic));
}

Result<> alter_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  TopicAlteration alteration{{}, flags.unset};
  ASSIGN_OR_RETURN(alteration.set, configs_of(flags.configs));
  const bool alters = !alteration.set.empty() || !alteration.unset.empty();
  const bool grows = flags.partitions != -1;
  if (!alters && !grows) return fail(Errc::kInvalidArgument, "nothing to alter: give --set, --unset or --partitions");
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto deadline = deadline_in(cluster.timeout);
  if (alters) {
    RETURN_IF_ERROR(alter_topic_configs(*client, flags.name, alteration, deadline));
    RETURN_IF_ERROR(io.output.write(fmt::format("altered topic {}\n", flags.name)));
  }
  if (!grows) return {};
  RETURN_IF_ERROR(add_partitions(*client, flags.name, flags.partitions, deadline));
  return io.output.write(fmt::format("topic {} has {} partitions now\n", flags.name, flags.partitions));
}

Result<> delete_topic_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto deleted = delete_topic(*client, flags.name, deadline_in(cluster.timeout));
  if (!deleted && deleted.error().code == Errc::kNotFound && flags.if_exists)
    return io.output.write(fmt::format("topic {} does not exist\n", flags.name));
  if (!deleted) return deleted;
  return io.output.write(fmt::format("deleted topic {}\n", flags.name));
}

}  // namespace tributary
