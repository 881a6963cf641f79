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
constexpr int kFetchesInFlight = 2;
constexpr int kPasses = 4;  // over the topic, per run

/// What the topic holds: the same batch again and again, so that the next offsets are known beforehand.
struct Layout {
  std::size_t batch_bytes = 0;
  std::int32_t batch_records = 0;
  Offset end{0};

  [[nodiscard]] std::int64_t batches_per_fetch() const { return kFetchBytes / static_cast<std::int64_t>(batch_bytes); }
  /// The next offset after a fetch from `from`.
  [[nodiscard]] Offset after(Offset from) const {
    return std::min(end, from + batches_per_fetch() * batch_records);
  }
};

Result<> ask(KafkaSocket& socket, Offset from) {
  FetchRequest request;
  request.wait_ms_max = 100;
  request.bytes_min = 1;
  request.bytes_max = kFetchBytes;
  request.topics.push_back({.name = "fetch", .partitions = {{.index = PartitionIndex(0), .fetch_offset = from,
                                                            .bytes_max = kFetchBytes}}});
  ASSIGN_OR_RETURN(const auto frame, KafkaSocket::framed(encode_request(kFetchVersion, 1, "bench", request)));
  return socket.send(frame);
}

/// Takes the answer to ask(from): whole batches from there on, as many as fit or there are.
Result<> take(KafkaSocket& socket, const Layout& layout, Offset from, Bytes& buffer) {
  ASSIGN_OR_RETURN(const auto answer, socket.receive(buffer));
  ASSIGN_OR_RETURN(const auto response, decode_response<FetchResponse>(answer, kFetchVersion));
  if (response.topics.size() != 1 || response.topics[0].partitions.size() != 1 ||
      response.topics[0].partitions[0].error_code != ErrorCode::kNone)
    return fail(Errc::kIo, fmt::format("fetch from offset {}: an error in the answer", from));
  auto records = response.topics[0].partitions[0].records.view();
  Offset next = from;
  while (records.size() >= kBatchHeaderSize) {
    ASSIGN_OR_RETURN(const auto header, parse_batch_header(records));
    if (header.total_bytes() > records.size()) break;  // cut off by the size limit
    next = header.next_offset();
    records = records.subspan(header.total_bytes());
  }
  if (next != layout.after(from))
    return fail(Errc::kIo, fmt::format("fetch from offset {}: up to {}, expected {}", from, next, layout.after(from)));
  return {};
}

/// Reads the topic from its start to its end, with kFetchesInFlight requests under way.
Result<> read_topic(KafkaSocket& socket, const Layout& layout, Bytes& buffer) {
  Offset asked{0}, taken{0};
  for (int under_way = 0; taken < layout.end;) {
    for (; under_way < kFetchesInFlight && asked < layout.end; ++under_way) {
      RETURN_IF_ERROR(ask(socket, asked));
      asked = layout.after(asked);
    }
    RETURN_IF_ERROR(take(socket, layout, taken, buffer));
    taken = layout.after(taken);
    --under_way;
  }
  return {};
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
  const int batches = options.fetch_mib * 16;
  RETURN_IF_ERROR(produce(socket, "fetch", batch, batches, 16));
  ASSIGN_OR_RETURN(const auto header, parse_batch_header(batch));
  const Layout layout{batch.size(), header.record_count, Offset(std::int64_t{batches} * header.record_count)};
  const auto files = segments(broker.data());
  if (files.empty()) return fail(Errc::kNotFound, "no segment of topic fetch below " + broker.data());

  Bytes buffer;
  std::vector<double> figures, limits, ratios;
  RETURN_IF_ERROR(read_topic(socket, layout, buffer));  // warms up
  RETURN_IF_ERROR(sendfile_over_loopback(files, kFetchBytes));
  const double megabytes = static_cast<double>(batch.size()) * batches * kPasses / 1e6;
  for (int run = 0; run < options.runs; ++run) {
    double raw = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
      ASSIGN_OR_RETURN(const double taken, sendfile_over_loopback(files, kFetchBytes));
      raw += taken;
    }
    const auto start = std::chrono::steady_clock::now();
    for (int pass = 0; pass < kPasses; ++pass) RETURN_IF_ERROR(read_topic(socket, layout, buffer));
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
                           .note = fmt::format("{} MiB a request, {} in flight", kFetchBytes >> 20, kFetchesInFlight)}};
}

}  // namespace tributary::bench
