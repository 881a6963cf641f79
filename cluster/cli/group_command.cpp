#include "cluster/cli/group_command.h"

#include <map>
#include <optional>

#include "cluster/cli/group_view.h"
#include "cluster/cli/start_text.h"
#include "cluster/cli/table.h"
#include "cluster/client/consumer.h"
#include "common/config/settings.h"

namespace tributary {
namespace {

Result<> one_target(const GroupFlags& flags) {
  const int targets = (flags.to_earliest ? 1 : 0) + (flags.to_latest ? 1 : 0) +
                      (flags.to_offset != GroupFlags::kNotGiven ? 1 : 0) +
                      (flags.shift_by != GroupFlags::kNotGiven ? 1 : 0) + (flags.to_time.empty() ? 0 : 1);
  if (targets == 1) return {};
  return fail(Errc::kInvalidArgument,
              "one of --to-earliest, --to-latest, --to-offset, --shift-by and --to-time must be given");
}

Result<WallMs> parse_to_time(const std::string& text) {
  const auto start = parse_start(text);
  if (start && start->kind == StartAt::Kind::kTime) return start->value;
  return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is no time such as 2026-07-01T12:00:00Z or @1700000000000 "
                                                  "(milliseconds since 1970)", text));
}

void declare_reset(Settings& group, GroupFlags& flags) {
  auto& reset = group.command(
      "reset-offsets", "Sets where a group goes on reading, and prints the old and the new offsets. Exit code 1, and "
                       "nothing is set, while the group has members. Offsets outside of the log become its nearest end");
  reset.argument("GROUP", flags.name, "The group; it need not exist");
  reset.flag_only("--topic,-t", flags.topics, "A topic, or some of its partitions; may be repeated")
      .placeholder("TOPIC[:P,P]").required()
      .check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_topic_partitions(text));
        return {};
      });
  reset.flag_only("--to-earliest", flags.to_earliest, "To the first records there are");
  reset.flag_only("--to-latest", flags.to_latest, "To the end: only what comes from now on is read");
  reset.flag_only("--to-offset", flags.to_offset, "To this offset").placeholder("N").range(0, INT64_MAX).default_text("none");
  reset.flag_only("--shift-by", flags.shift_by, "Forward by so many records, back if negative (--shift-by=-100)")
      .placeholder("N").default_text("none");
  reset.flag_only("--to-time", flags.to_time, "To the first records of that time or later: 2026-07-01T12:00:00Z or "
                                              "@MILLISECONDS since 1970")
      .placeholder("TIME").check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_to_time(text));
        return {};
      });
  reset.flag_only("--dry-run", flags.dry_run, "Only print what would be set");
  reset.flag_only("--json", flags.json, "One JSON object a line");
  reset.check([&flags] { return one_target(flags); });
  reset.example("tributary group reset-offsets dashboards --topic readings --to-earliest --dry-run");
  reset.example("tributary group reset-offsets dashboards -t readings:0,2 --shift-by=-1000");
  reset.example("tributary group reset-offsets dashboards -t readings --to-time 2026-07-01T12:00:00Z");
}

// ---- reset-offsets -----------------------------------------------------------------------------------

Result<std::vector<TopicPartition>> chosen_partitions(ClusterClient& client, const std::vector<std::string>& topics,
                                                      MonoTime deadline) {
  std::map<TopicPartition, bool> chosen;
  for (const auto& text : topics) {
    ASSIGN_OR_RETURN(const auto asked, parse_topic_partitions(text));
    ASSIGN_OR_RETURN(const auto info, client.topic(asked.topic, deadline));
    if (asked.partitions.empty())
      for (const auto& partition : info.partitions) chosen[{asked.topic, partition.index}] = true;
    for (const auto index : asked.partitions) {
      if (std::ranges::find(info.partitions, index, &PartitionInfo::index) == info.partitions.end())
        return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}; it has 0 to {}", asked.topic, index,
                                                 info.partitions.size() - 1));
      chosen[{asked.topic, index}] = true;
    }
  }
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, yes] : chosen) partitions.push_back(partition);
  return partitions;
}

struct Reset {
  TopicPartition partition;
  std::optional<Offset> from;  // nothing was committed
  Offset to{0};
};

Result<Offset> target_of(ClusterClient& client, const GroupFlags& flags, const Reset& reset, MonoTime deadline) {
  const auto resolved = [&](StartAt start) -> Result<Offset> {
    ASSIGN_OR_RETURN(const auto offsets, resolve_offsets(client, {{reset.partition, start}}, deadline));
    return offsets.front();
  };
  if (flags.to_earliest) return resolved(StartAt::earliest());
  if (flags.to_latest) return resolved(StartAt::latest());
  if (!flags.to_time.empty()) {
    ASSIGN_OR_RETURN(const auto wall_ms, parse_to_time(flags.to_time));
    return resolved(StartAt::time(wall_ms));
  }
  auto wanted = flags.to_offset;
  if (flags.shift_by != GroupFlags::kNotGiven) {
    if (!reset.from)
      return fail(Errc::kInvalidArgument, fmt::format("group {} has committed no offset of {} that --shift-by could shift",
                                                      flags.name, reset.partition));
    if (__builtin_add_overflow(reset.from->value(), flags.shift_by, &wanted))
      wanted = flags.shift_by < 0 ? 0 : std::numeric_limits<std::int64_t>::max();
  }
  ASSIGN_OR_RETURN(const auto earliest, resolved(StartAt::earliest()));
  ASSIGN_OR_RETURN(const auto latest, resolved(StartAt::latest()));
  return std::clamp(Offset(wanted), earliest, latest);
}

Result<std::vector<Reset>> plan_resets(ClusterClient& client, const GroupFlags& flags, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto partitions, chosen_partitions(client, flags.topics, deadline));
  ASSIGN_OR_RETURN(const auto committed, committed_offsets(client, flags.name, deadline));
  std::vector<Reset> resets;
  for (const auto& partition : partitions) {
    Reset reset{partition, std::nullopt, Offset(0)};
    const auto old = std::ranges::find(committed, partition, &CommittedPosition::partition);
    if (old != committed.end()) reset.from = old->offset;
    ASSIGN_OR_RETURN(reset.to, target_of(client, flags, reset, deadline));
    resets.push_back(reset);
  }
  return resets;
}

std::string text_of(const std::vector<Reset>& resets) {
  using enum Table::Align;
  Table table({{"TOPIC"}, {"PARTITION", kRight}, {"OLD", kRight}, {"NEW", kRight}});
  for (const auto& [partition, from, to] : resets)
    table.add({partition.topic, fmt::format("{}", partition.partition), from ? fmt::format("{}", *from) : "-",
               fmt::format("{}", to)});
  return table.text();
}

std::string json_of(const std::vector<Reset>& resets) {
  std::string out;
  for (const auto& [partition, from, to] : resets)
    out += fmt::format("{{\"topic\":\"{}\",\"partition\":{},\"old\":{},\"new\":{}}}\n", partition.topic,
                       partition.partition, from ? fmt::format("{}", *from) : "null", to);
  return out;
}

}  // namespace

void declare_group_commands(Settings& program, GroupFlags& flags) {
  auto& group = program.command("group", "Lists, describes, resets and deletes consumer groups");
  auto& list = group.command("list", "Lists the groups, one a line: name, state and protocol");
  list.flag_only("--state", flags.state, "Only groups in this state").default_text("all")
      .choices({"Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead"});
  list.flag_only("--json", flags.json, "One JSON object a line");
  list.example("tributary group list");
  list.example("tributary group list --state Empty", "groups that nobody reads for at present");
  auto& describe = group.command("describe", "Shows how far a group has read, and who reads for it. Exit code 1 if there is none");
  describe.argument("GROUP", flags.name, "The group");
  describe.flag_only("--members", flags.members, "Its members instead, with their partitions");
  describe.flag_only("--json", flags.json, "Both as one JSON object");
  describe.example("tributary group describe dashboards");
  describe.example("tributary group describe dashboards --members");
  declare_reset(group, flags);
  auto& remove = group.command("delete", "Deletes groups and the offsets that they have committed. Exit code 1 if one has "
                                         "members or does not exist; the others are deleted");
  remove.argument("GROUP", flags.names, "The groups");
  remove.flag_only("--if-exists", flags.if_exists, "A missing group is no error");
  remove.example("tributary group delete dashboards old-dashboards");
}

Result<> list_groups_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  std::vector<std::string> states;
  if (!flags.state.empty()) states.push_back(flags.state);
  ASSIGN_OR_RETURN(const auto groups, list_groups(*client, states, deadline_in(cluster.timeout)));
  return io.output.write(flags.json ? json_of(groups) : text_of(groups));
}

Result<> describe_group_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  ASSIGN_OR_RETURN(const auto view, view_group(*client, flags.name, deadline_in(cluster.timeout)));
  if (flags.json) return io.output.write(json_of(view));
  return io.output.write(flags.members ? members_text(view) : text_of(view));
}

Result<> reset_offsets_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto deadline = deadline_in(cluster.timeout);
  const auto group = describe_group(*client, flags.name, deadline);
  if (!group && group.error().code != Errc::kNotFound) return tl::unexpected<Error>(group.error());
  if (group && !group->members.empty())
    return fail(Errc::kLocked,
                fmt::format("group {} has {} members and is {}: its offsets can be set only while it has none; stop its "
                            "consumers first", flags.name, group->members.size(), group->summary.state));
  ASSIGN_OR_RETURN(const auto resets, plan_resets(*client, flags, deadline));
  if (!flags.dry_run) {
    std::vector<std::pair<TopicPartition, Offset>> offsets;
    for (const auto& reset : resets) offsets.emplace_back(reset.partition, reset.to);
    RETURN_IF_ERROR(commit_offsets(*client, flags.name, offsets, deadline));
  }
  RETURN_IF_ERROR(io.output.write(flags.json ? json_of(resets) : text_of(resets)));
  if (flags.dry_run) io.say("nothing was set: --dry-run");
  return {};
}

Result<> delete_groups_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  std::size_t failed = 0;
  for (const auto& name : flags.names) {
    const auto deleted = delete_group(*client, name, deadline_in(cluster.timeout));
    if (deleted) {
      RETURN_IF_ERROR(io.output.write(fmt::format("deleted group {}\n", name)));
    } else if (deleted.error().code == Errc::kNotFound && flags.if_exists) {
      RETURN_IF_ERROR(io.output.write(fmt::format("group {} does not exist\n", name)));
    } else if (flags.names.size() == 1) {
      return deleted;
    } else {
      io.say(deleted.error().message);
      ++failed;
    }
  }
  if (failed == 0) return {};
  return fail(Errc::kInvalidArgument, fmt::format("{} of {} groups were not deleted", failed, flags.names.size()));
}

}  // namespace tributary
