// (i) One broker with 10,000 partitions and 1,000 consumer groups: memory, start, metadata.

#include "cluster/client/admin.h"
#include "cluster/client/groups.h"
#include "common/protocol/messages/metadata.h"
#include "tests/bench/bench.h"
#include "tests/bench/kafka_socket.h"
#include "tests/bench/pipeline.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::bench {
namespace {

constexpr int kManyTopics = 100, kPartitionsOfEach = 100;
constexpr int kManyGroups = 1'000;

Result<double> rss_mib(test::Broker& broker) {
  ASSIGN_OR_RETURN(const auto bytes, resident_bytes(broker.process().pid()));
  return static_cast<double>(bytes) / (1024 * 1024);
}

/// Milliseconds of each of several requests.
Result<std::vector<double>> metadata_ms(test::Broker& broker, const std::optional<std::string>& topic) {
  ASSIGN_OR_RETURN(auto socket, KafkaSocket::connect(broker.kafka_port()));
  Bytes buffer;
  std::vector<double> all;
  for (int i = 0; i < 20; ++i) {
    MetadataRequest request;
    if (topic) request.topics = std::vector<MetadataRequest::Topic>{{.name = *topic}};
    else request.topics.reset();
    const auto start = SteadyClock::now();
    ASSIGN_OR_RETURN(const auto answer, socket.call(request, 9, buffer));
    all.push_back(seconds_since(start) * 1e3);
    const auto wanted = topic ? 1u : static_cast<unsigned>(kManyTopics);
    if (answer.topics.size() < wanted) return fail(Errc::kCorrupt, "topics are missing");
  }
  return all;
}

Result<double> start_seconds(test::Broker& broker) {
  const auto start = SteadyClock::now();
  if (!broker.start_ready(std::chrono::seconds(120))) return fail(Errc::kUnavailable, "it does not start:\n" + broker.log());
  return seconds_since(start);
}

}  // namespace

Result<std::vector<Row>> many_partitions(const Options& options) {
  const test::TempFolder folder(options.folder);
  test::Broker broker(folder / "broker");
  broker.extra_args = {"--partitions-max", "20000"};
  if (!broker.start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + broker.log());
  ASSIGN_OR_RETURN(const double empty_mib, rss_mib(broker));
  ASSIGN_OR_RETURN(auto client, ClusterClient::connect({.bootstrap = {broker.nng_url()}, .request_timeout = std::chrono::seconds(60)},
                                                       deadline_in(std::chrono::seconds(10))));
  const auto created_since = SteadyClock::now();
  for (int i = 0; i < kManyTopics; ++i)
    RETURN_IF_ERROR(create_topic(*client, {.name = fmt::format("topic-{}", i), .partitions = kPartitionsOfEach},
                                 deadline_in(std::chrono::seconds(120))));
  const double create_seconds = seconds_since(created_since);
  constexpr double kPartitions = kManyTopics * kPartitionsOfEach;
  ASSIGN_OR_RETURN(const double full_mib, rss_mib(broker));
  say(fmt::format("(i) {} partitions created in {:.1f} s, {:.1f} MiB", kPartitions, create_seconds, full_mib));

  const auto committed_since = SteadyClock::now();
  for (int group = 0; group < kManyGroups; ++group) {
    std::vector<std::pair<TopicPartition, Offset>> offsets;
    for (int partition = 0; partition < 10; ++partition)
      offsets.push_back({{fmt::format("topic-{}", group % kManyTopics), PartitionIndex(partition)}, Offset(0)});
    const auto done = commit_offsets(*client, fmt::format("group-{}", group), offsets, deadline_in(std::chrono::seconds(60)));
    if (!done) return tl::unexpected<Error>(done.error());
  }
  const double commit_seconds = seconds_since(committed_since);
  ASSIGN_OR_RETURN(const double groups_mib, rss_mib(broker));
  say(fmt::format("(i) {} groups of 10 offsets committed in {:.1f} s, {:.1f} MiB", kManyGroups, commit_seconds, groups_mib));

  ASSIGN_OR_RETURN(const auto all_ms, metadata_ms(broker, std::nullopt));
  ASSIGN_OR_RETURN(const auto one_ms, metadata_ms(broker, "topic-7"));
  client.reset();
  std::vector<double> clean, unclean;
  for (int run = 0; run < std::min(options.runs, 3); ++run) {
    if (broker.terminate(std::chrono::seconds(60)) != 0) return fail(Errc::kUnavailable, "it does not stop cleanly");
    ASSIGN_OR_RETURN(const double after_stop, start_seconds(broker));
    clean.push_back(after_stop);
    broker.kill();
    ASSIGN_OR_RETURN(const double after_kill, start_seconds(broker));
    unclean.push_back(after_kill);
    say(fmt::format("(i) start after a clean stop {:.2f} s, after kill -9 {:.2f} s", after_stop, after_kill));
  }
  const double kib = (full_mib - empty_mib) * 1024 / kPartitions;
  const auto row = [](std::string figure, std::string measured, std::vector<double> values, std::string unit) {
    return Row{.figure = std::move(figure), .measured = std::move(measured), .limit = {}, .values = std::move(values),
               .want = Want::kNothing, .target = 0, .unit = std::move(unit), .note = {}};
  };
  return std::vector<Row>{
      row("(i) RSS with 10,000 partitions", fmt::format("{:.1f} MiB", full_mib), {kib}, "KiB a partition"),
      row("(i) RSS with 1,000 groups of 10 offsets more", fmt::format("{:.1f} MiB", groups_mib),
          {(groups_mib - full_mib) * 1024 / kManyGroups}, "KiB a group"),
      row("(i) creating a partition", fmt::format("{:.1f} s in all", create_seconds), {create_seconds * 1e3 / kPartitions}, "ms"),
      row("(i) metadata of all", "", all_ms, "ms"),
      row("(i) metadata of one topic", "", one_ms, "ms"),
      row("(i) start after a clean stop", "", clean, "s"),
      row("(i) start after kill -9", "", unclean, "s")};
}

}  // namespace tributary::bench
