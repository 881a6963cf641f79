// (c) Fetch over Kafka TCP, against sendfile of the same segment files over loopback.

#include <filesystem>

#include "common/protocol/messages/fetch.h"
#include "common/record/record_batch.h"
#include "tests/bench/bench.h"
#include "tests/bench/kafka_socket.h"
#include "tests/bench/limits.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::bench {
namespace {

constexpr std::int16_t kFetchVersion = 11;
constexpr std::int32_t kFetchBytes = 8 << 20;
constexpr int kPasses = 4;  // over the topic, per run

/// The offset after the last whole batch.
Result<Offset> end_of(ByteView records, Offset from) {
  while (records.size() >= kBatchHeaderSize) {
    ASSIGN_OR_RETURN(const auto header, parse_batch_header(records));
    if (header.total_bytes() > records.size()) break;  // cut off by the size limit
    from = header.next_offset();
    records = records.subspan(header.total_bytes());
  }
  return from;
}

/// Reads the topic from its start to its high watermark; the bytes of records.
Result<std::uint64_t> read_topic(KafkaSocket& socket, Bytes& buffer) {
  std::uint64_t bytes = 0;
  for (Offset next{0};;) {
    FetchRequest request;
    request.wait_ms_max = 100;
    request.bytes_min = 1;
    request.bytes_max = kFetchBytes;
    request.topics.push_back({.name = "fetch", .partitions = {{.index = PartitionIndex(0), .fetch_offset = next,
                                                              .bytes_max = kFetchBytes}}});
    ASSIGN_OR_RETURN(const auto response, socket.call(request, kFetchVersion, buffer));
    if (response.topics.size() != 1 || response.topics[0].partitions.size() != 1 ||
        response.topics[0].partitions[0].error_code != ErrorCode::kNone)
      return fail(Errc::kIo, fmt::format("fetch from offset {}: an error in the answer", next));
    const auto& partition = response.topics[0].partitions[0];
    const auto records = partition.records.view();
    ASSIGN_OR_RETURN(const auto end, end_of(records, next));
    if (end == next) return fail(Errc::kIo, fmt::format("fetch from offset {}: no whole batch", next));
    bytes += records.size();
    next = end;
    if (next >= partition.high_watermark) return bytes;
  }
}

std::vector<std::string> segments(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".log" && entry.path().parent_path().filename() == "fetch-0")
      found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Result<std::vector<Row>> kafka_fetch(const Options& options) {
  const test::TempFolder folder(options.folder);
  test::Broker broker(folder / "broker");
  if (!broker.start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + broker.log());
  ASSIGN_OR_RETURN(auto socket, KafkaSocket::connect(broker.kafka_port()));
  RETURN_IF_ERROR(create_topic(socket, "fetch"));
  ASSIGN_OR_RETURN(const auto batch, batch_of_64_kib());
  say(fmt::format("(c) filling a topic with {} MiB", options.fetch_mib));
  RETURN_IF_ERROR(produce(socket, "fetch", batch, options.fetch_mib * 16, 16));
  const auto files = segments(broker.data());
  if (files.empty()) return fail(Errc::kNotFound, "no segment of topic fetch below " + broker.data());

  Bytes buffer;
  std::vector<double> figures, limits, ratios;
  ASSIGN_OR_RETURN(const auto topic_bytes, read_topic(socket, buffer));  // warms up
  RETURN_IF_ERROR(sendfile_over_loopback(files, kFetchBytes));
  const double megabytes = static_cast<double>(topic_bytes) * kPasses / 1e6;
  for (int run = 0; run < options.runs; ++run) {
    double raw = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
      ASSIGN_OR_RETURN(const double taken, sendfile_over_loopback(files, kFetchBytes));
      raw += taken;
    }
    const auto start = std::chrono::steady_clock::now();
    for (int pass = 0; pass < kPasses; ++pass) RETURN_IF_ERROR(read_topic(socket, buffer));
    const double brokers = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    limits.push_back(megabytes / raw);
    figures.push_back(megabytes / brokers);
    ratios.push_back(raw / brokers);
    say(fmt::format("(c) run {}: fetch {:.0f} MB/s, sendfile {:.0f} MB/s", run + 1, figures.back(), limits.back()));
  }
  return std::vector<Row>{{.figure = "(c) fetch over Kafka TCP",
                           .measured = fmt::format("{} MB/s", grouped(median(figures))),
                           .limit = fmt::format("sendfile {} MB/s", grouped(median(limits))),
                           .values = ratios, .want = Want::kAtLeast, .target = 0.70,
                           .note = fmt::format("{} MiB a request, one in flight", kFetchBytes >> 20)}};
}

}  // namespace tributary::bench
