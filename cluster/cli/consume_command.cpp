#include "cluster/cli/consume_command.h"

#include <algorithm>
#include <map>

#include "cluster/cli/group_consumption.h"
#include "cluster/cli/record_printer.h"
#include "cluster/cli/start_text.h"
#include "cluster/client/consumer.h"
#include "common/config/settings.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {


class Consumption {
 public:
  Consumption(ClusterClient& client, const ConsumeFlags& flags, const ClusterFlags& cluster, const CommandIo& io)
      : client_(client), flags_(flags), cluster_(cluster), io_(io), consumer_(client, options()) {}

  Result<> run();

 private:
  [[nodiscard]] ConsumerOptions options();
  Result<> assign();
  Result<> print(const ConsumedBatch& batch);
  void drop_finished();
  [[nodiscard]] bool enough() const { return flags_.messages_max >= 0 && printed_ >= flags_.messages_max; }

  ClusterClient& client_;
  const ConsumeFlags& flags_;
  const ClusterFlags& cluster_;
  const CommandIo& io_;
  OncePer trouble_{std::chrono::minutes(1)};
  Consumer consumer_;
  Decompressor decompressor_;
  std::map<TopicPartition, Offset> ends_;  // of partitions that are still read; exclusive
  std::int64_t printed_ = 0;
  std::string text_;
};

ConsumerOptions Consumption::options() {
  ConsumerOptions options;
  options.on_out_of_range = OnOutOfRange::kEarliest;  // retention may overtake a slow reader
  if (flags_.follow) options.unavailable_max = Duration::zero();
  else options.unavailable_max = cluster_.timeout;
  options.on_trouble = [this](const Error& error) {
    if (error.code == Errc::kOutOfRange) io_.say(error.message);
    else if (const auto turn = trouble_.turn()) io_.say(error.message + "; trying again");
  };
  return options;
}

Result<> Consumption::assign() {
  const auto deadline = deadline_in(cluster_.timeout);
  ASSIGN_OR_RETURN(const auto start, parse_start(flags_.from));
  ASSIGN_OR_RETURN(const auto partitions, partitions_of(client_, flags_.topics.front(), flags_.partition, deadline));
  std::vector<std::pair<TopicPartition, StartAt>> starts, ends;
  for (const auto& partition : partitions) {
    starts.emplace_back(partition, start);
    ends.emplace_back(partition, StartAt::latest());
  }
  ASSIGN_OR_RETURN(auto from, resolve_offsets(client_, starts, deadline));
  ASSIGN_OR_RETURN(const auto to, resolve_offsets(client_, ends, deadline));
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (!flags_.follow && from[i] >= to[i]) continue;
    if (from[i] > to[i]) {
      io_.say(fmt::format("{} ends with offset {}: following it from there", partitions[i], to[i]));
      from[i] = to[i];
    }
    ends_[partitions[i]] = to[i];
    consumer_.assign(partitions[i], from[i]);
  }
  return {};
}

Result<> Consumption::print(const ConsumedBatch& batch) {
  text_.clear();
  RETURN_IF_ERROR(for_each_record(batch, decompressor_, kPrintedBatchBytesMax, [&](const RecordView& record) {
    const bool beyond = !flags_.follow && record.offset >= ends_.at(batch.partition);
    if (beyond || enough()) return false;
    append_record(text_, record_format(flags_.format), batch.partition, record);
    ++printed_;
    return true;
  }));
  return io_.output.write(text_);
}

void Consumption::drop_finished() {
  if (flags_.follow) return;
  std::erase_if(ends_, [&](const auto& entry) {
    if (consumer_.position(entry.first) < entry.second) return false;
    consumer_.unassign(entry.first);
    return true;
  });
}

Result<> Consumption::run() {
  RETURN_IF_ERROR(assign());
  while (!ends_.empty() && !enough() && !io_.stop.requested()) {
    ASSIGN_OR_RETURN(const auto batches, consumer_.poll(kStopPoll));
    for (const auto& batch : batches) RETURN_IF_ERROR(print(batch));
    RETURN_IF_ERROR(io_.output.flush());
    drop_finished();
  }
  return {};
}

/// What goes together, and what does not.
Result<> check_flags(const ConsumeFlags& flags) {
  const auto topics = flags.topics.size() + (flags.topic.empty() ? 0 : 1);
  if (topics == 0) return fail(Errc::kInvalidArgument, "a topic must be given: --topic TOPIC, or TOPIC");
  if (flags.group.empty()) {
    if (!flags.instance_id.empty() || !flags.assignors.empty())
      return fail(Errc::kInvalidArgument, "--instance-id and --assignor go with --group");
    if (topics > 1) return fail(Errc::kInvalidArgument, "several topics can be read only with --group");
    return {};
  }
  if (flags.partition >= 0)
    return fail(Errc::kInvalidArgument, "--partition does not go with --group: the group shares the partitions out");
  ASSIGN_OR_RETURN(const auto start, parse_start(flags.from));
  if (start.kind == StartAt::Kind::kEarliest || start.kind == StartAt::Kind::kLatest) return {};
  return fail(Errc::kInvalidArgument, "with --group, --from is earliest or latest: where to begin if nothing is committed; "
                                      "`tributary group reset-offsets` sets what is");
}

}  // namespace

void declare_consume_command(Settings& program, ConsumeFlags& flags) {
  auto& consume = program.command(
      "consume", "Prints records, up to those that are there when it starts; with --follow also what comes. "
                 "Exit code 0 also when it is stopped by SIGINT or its output is closed");
  consume.argument("TOPIC", flags.topics, "The topic; with --group there may be several").default_text("--topic");
  consume.flag_only("--topic,-t", flags.topic, "The topic, by flag").placeholder("TOPIC").default_text("TOPIC");
  consume.flag_only("--group,-g", flags.group, "As a member of this consumer group: it shares the partitions with the "
                                               "others, goes on where the group was, and commits what was printed")
      .placeholder("GROUP").default_text("none");
  consume.flag_only("--instance-id", flags.instance_id, "As a static member of the group, with this name: its partitions are "
                                                        "kept for it when it ends, for the session timeout of 45 s")
      .placeholder("ID").default_text("none");
  consume.flag_only("--assignor", flags.assignors, "How the group may share out partitions, best first: range, roundrobin, "
                                                   "cooperative-sticky. With that alone members read on in a rebalance")
      .placeholder("NAME[,NAME]").default_text("range,cooperative-sticky")
      .check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_assignors(text));
        return {};
      });
  consume.flag_only("--commit-interval", flags.commit_interval, "How often the group's offsets are committed; at a clean "
                                                                "end they are in any case")
      .range("10ms", "1h");
  consume.flag_only("--from", flags.from, "earliest, latest, an offset, a time (2026-07-01T12:00:00Z) or @MILLISECONDS since 1970; "
                                            "with --group: earliest or latest, where nothing is committed")
      .placeholder("START").check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_start(text));
        return {};
      });
  consume.flag_only("--partition,-p", flags.partition, "Only this partition").placeholder("N").range(0, 1'000'000)
      .default_text("all");
  consume.flag_only("--format", flags.format, "text: time, place, key, value; json: an object a line; raw: the value a line")
      .choices({"text", "json", "raw"});
  consume.flag_only("--follow,-f", flags.follow, "Go on with records as they come, until stopped");
  consume.flag_only("--max-messages,-n", flags.messages_max, "End after so many records").placeholder("N").range(1, INT64_MAX)
      .default_text("no limit");
  consume.check([&flags] { return check_flags(flags); });
  consume.example("tributary consume --topic readings --from latest --follow");
  consume.example("tributary consume --group dashboards readings raw --follow");
  consume.example("tributary consume --group dashboards --instance-id wall-1 --assignor cooperative-sticky readings --follow");
  consume.example("tributary consume -t readings --partition 0 --from 1200 -n 10 --format json");
  consume.example("tributary consume -t readings --from 2026-07-01T12:00:00Z --format raw | head");
}

Result<> consume_command(const ClusterFlags& cluster, const ConsumeFlags& given, const CommandIo& io) {
  auto flags = given;
  if (!flags.topic.empty()) flags.topics.push_back(flags.topic);
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  if (!flags.group.empty()) return consume_in_group(*client, flags, cluster, io);
  return Consumption(*client, flags, cluster, io).run();
}

Result<std::vector<TopicPartition>> partitions_of(ClusterClient& client, const std::string& topic, std::int32_t only,
                                                  MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto info, client.topic(topic, deadline));
  std::vector<TopicPartition> partitions;
  for (const auto& partition : info.partitions)
    if (only < 0 || partition.index.value() == only) partitions.push_back({topic, partition.index});
  if (partitions.empty())
    return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}; it has 0 to {}", topic, only,
                                             info.partitions.size() - 1));
  return partitions;
}

}  // namespace tributary
