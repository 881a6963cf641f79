#include "cluster/cli/group_view.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "cluster/cli/table.h"
#include "cluster/cli/text.h"
#include "cluster/client/consumer.h"
#include "common/base/topic_name.h"

namespace tributary {
namespace {

using enum Table::Align;

/// Names of groups and members are any text: for a terminal, and for JSON.
std::string shown(std::string_view text) {
  std::string out;
  append_printable(out, as_bytes(text));
  return out.empty() ? "-" : out;
}
std::string json_text(std::string_view text) {
  std::string safe;
  if (is_utf8(as_bytes(text))) safe = text;
  else append_printable(safe, as_bytes(text));
  std::string out;
  append_json_string(out, safe);
  return out;
}

template <class T>
std::string or_else(const std::optional<T>& value, std::string_view otherwise) {
  return value ? fmt::format("{}", *value) : std::string(otherwise);
}

/// "readings:0,1 raw:3"
std::string partition_list(const std::vector<TopicPartition>& partitions) {
  std::string out;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const bool same_topic = i > 0 && partitions[i - 1].topic == partitions[i].topic;
    if (same_topic) out += fmt::format(",{}", partitions[i].partition);
    else out += fmt::format("{}{}:{}", i > 0 ? " " : "", partitions[i].topic, partitions[i].partition);
  }
  return out.empty() ? "-" : out;
}

/// Kafka's brokers write "/10.0.0.7".
std::string host_of(const GroupMemberInfo& member) {
  return member.host.starts_with('/') ? member.host.substr(1) : member.host;
}

Result<std::optional<Offset>> log_end_of(ClusterClient& client, const TopicPartition& partition, MonoTime deadline) {
  const auto ends = resolve_offsets(client, {{partition, StartAt::latest()}}, deadline);
  if (ends) return ends->front();
  if (ends.error().code == Errc::kNotFound) return std::optional<Offset>{};
  return tl::unexpected<Error>(ends.error());
}

std::string heading(const GroupView& view) {
  const auto& info = view.info;
  return fmt::format("group {}, {}{}, {} members\n\n", shown(info.summary.id), info.summary.state,
                     info.assignor.empty() ? "" : ", " + shown(info.assignor), info.members.size());
}

std::string json_of(const GroupPartition& partition) {
  return fmt::format("{{\"topic\":{},\"partition\":{},\"committed\":{},\"log_end\":{},\"lag\":{},\"member\":{},\"host\":{}}}",
                     json_text(partition.partition.topic), partition.partition.partition, or_else(partition.committed, "null"),
                     or_else(partition.log_end, "null"), or_else(partition.lag(), "null"),
                     partition.member_id.empty() ? "null" : json_text(partition.member_id),
                     partition.member_id.empty() ? "null" : json_text(partition.host));
}

std::string json_of(const GroupMemberInfo& member) {
  auto out = fmt::format("{{\"member\":{},\"instance\":{},\"client\":{},\"host\":{},\"partitions\":[",
                         json_text(member.member_id), member.instance_id ? json_text(*member.instance_id) : "null",
                         json_text(member.client_id), json_text(host_of(member)));
  for (std::size_t i = 0; i < member.assigned.size(); ++i)
    out += fmt::format("{}{{\"topic\":{},\"partition\":{}}}", i > 0 ? "," : "", json_text(member.assigned[i].topic),
                       member.assigned[i].partition);
  return out + "]}";
}

std::string joined(const auto& items) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += ',';
    out += json_of(item);
  }
  return out;
}

}  // namespace

std::optional<std::int64_t> GroupPartition::lag() const {
  if (!committed || !log_end) return std::nullopt;
  return std::max<std::int64_t>(*log_end - *committed, 0);
}

Result<GroupView> view_group(ClusterClient& client, const std::string& group, MonoTime deadline) {
  GroupView view;
  ASSIGN_OR_RETURN(view.info, describe_group(client, group, deadline));
  ASSIGN_OR_RETURN(const auto committed, committed_offsets(client, group, deadline));
  std::map<TopicPartition, GroupPartition> partitions;
  for (const auto& position : committed) partitions[position.partition].committed = position.offset;
  for (const auto& member : view.info.members) {
    for (const auto& partition : member.assigned) {
      auto& read = partitions[partition];
      read.member_id = member.member_id;
      read.host = host_of(member);
    }
  }
  for (auto& [which, partition] : partitions) {
    partition.partition = which;
    ASSIGN_OR_RETURN(partition.log_end, log_end_of(client, which, deadline));
    view.partitions.push_back(partition);
  }
  return view;
}

std::string text_of(const GroupView& view) {
  Table table({{"TOPIC"}, {"PARTITION", kRight}, {"COMMITTED", kRight}, {"LOG END", kRight}, {"LAG", kRight},
               {"MEMBER"}, {"HOST"}});
  for (const auto& partition : view.partitions)
    table.add({partition.partition.topic, fmt::format("{}", partition.partition.partition),
               or_else(partition.committed, "-"), or_else(partition.log_end, "-"), or_else(partition.lag(), "-"),
               shown(partition.member_id), shown(partition.host)});
  return heading(view) + table.text();
}

std::string members_text(const GroupView& view) {
  Table table({{"MEMBER"}, {"CLIENT"}, {"HOST"}, {"PARTITIONS"}});
  for (const auto& member : view.info.members)
    table.add({shown(member.member_id), shown(member.client_id), shown(host_of(member)),
               partition_list(member.assigned)});
  return heading(view) + table.text();
}

std::string json_of(const GroupView& view) {
  const auto& info = view.info;
  return fmt::format("{{\"group\":{},\"state\":{},\"protocol_type\":{},\"assignor\":{},\"partitions\":[{}],\"members\":[{}]}}\n",
                     json_text(info.summary.id), json_text(info.summary.state), json_text(info.summary.protocol_type),
                     json_text(info.assignor), joined(view.partitions), joined(info.members));
}

std::string text_of(const std::vector<GroupSummary>& groups) {
  std::size_t name_width = 0, state_width = 0;
  for (const auto& group : groups) {
    name_width = std::max(name_width, shown(group.id).size());
    state_width = std::max(state_width, shown(group.state).size());
  }
  std::string out;
  for (const auto& group : groups)
    out += fmt::format("{:<{}}  {:<{}}  {}\n", shown(group.id), name_width, shown(group.state), state_width,
                       shown(group.protocol_type));
  return out;
}

std::string json_of(const std::vector<GroupSummary>& groups) {
  std::string out;
  for (const auto& group : groups)
    out += fmt::format("{{\"group\":{},\"state\":{},\"protocol_type\":{}}}\n", json_text(group.id), json_text(group.state),
                       json_text(group.protocol_type));
  return out;
}

Result<TopicPartitions> parse_topic_partitions(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is no topic such as readings, or partitions of one such as readings:0,2", text));
  };
  TopicPartitions parsed;
  const auto colon = text.find(':');
  parsed.topic = text.substr(0, colon);
  if (!validate_topic_name(parsed.topic)) return bad();
  if (colon == std::string_view::npos) return parsed;
  auto rest = text.substr(colon + 1);
  for (;;) {
    std::int32_t index = -1;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
    if (error != std::errc() || index < 0) return bad();
    parsed.partitions.emplace_back(index);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty()) return parsed;
    if (rest.front() != ',') return bad();
    rest.remove_prefix(1);
  }
}

}  // namespace tributary
