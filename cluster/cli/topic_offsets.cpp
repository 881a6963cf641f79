// tributary topic offsets

#include "cluster/cli/consume_command.h"
#include "cluster/cli/start_text.h"
#include "cluster/cli/table.h"
#include "cluster/cli/text.h"
#include "cluster/cli/topic_command.h"

namespace tributary {
namespace {

std::string start_of_json(const TopicPartition& partition) {
  std::string out = "{\"topic\":";
  append_json_string(out, partition.topic);
  return out + fmt::format(",\"partition\":{}", partition.partition);
}

Result<std::string> text_of_ends(ClusterClient& client, const std::vector<TopicPartition>& partitions, bool json,
                                 MonoTime deadline) {
  using enum Table::Align;
  Table table({{"PARTITION", kRight}, {"EARLIEST", kRight}, {"LATEST", kRight}, {"RECORDS", kRight}});
  std::string lines;
  for (const auto& partition : partitions) {
    ASSIGN_OR_RETURN(const auto ends,
                     resolve_offsets(client, {{partition, StartAt::earliest()}, {partition, StartAt::latest()}}, deadline));
    const auto earliest = ends.front(), latest = ends.back();
    lines += start_of_json(partition) + fmt::format(",\"earliest\":{},\"latest\":{},\"records\":{}}}\n", earliest,
                                                    latest, latest - earliest);
    table.add({fmt::to_string(partition.partition), fmt::to_string(earliest), fmt::to_string(latest),
               std::to_string(latest - earliest)});
  }
  return json ? lines : table.text();
}

Result<std::string> text_of_place(ClusterClient& client, const std::vector<TopicPartition>& partitions,
                                  const StartAt& place, bool json, MonoTime deadline) {
  using enum Table::Align;
  Table table({{"PARTITION", kRight}, {"OFFSET", kRight}, {"TIME"}});
  std::string lines;
  for (const auto& partition : partitions) {
    ASSIGN_OR_RETURN(const auto found, find_offset(client, partition, place, deadline));
    const auto timestamp_ms = found ? found->timestamp_ms : kNoTimestamp;
    const auto offset = found ? fmt::to_string(found->offset) : "";
    lines += start_of_json(partition) + fmt::format(",\"offset\":{},\"timestamp_ms\":{}}}\n", found ? offset : "null",
                                                    timestamp_ms >= 0 ? std::to_string(timestamp_ms) : "null");
    table.add({fmt::to_string(partition.partition), found ? offset : "-", format_time(timestamp_ms)});
  }
  return json ? lines : table.text();
}

}  // namespace

Result<> topic_offsets_command(const ClusterFlags& cluster, const TopicFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto deadline = deadline_in(cluster.timeout);
  ASSIGN_OR_RETURN(const auto partitions, partitions_of(*client, flags.name, flags.partition, deadline));
  if (flags.at.empty()) {
    ASSIGN_OR_RETURN(const auto text, text_of_ends(*client, partitions, flags.json, deadline));
    return io.output.write(text);
  }
  ASSIGN_OR_RETURN(const auto place, parse_place(flags.at));
  ASSIGN_OR_RETURN(const auto text, text_of_place(*client, partitions, place, flags.json, deadline));
  return io.output.write(text);
}

}  // namespace tributary
