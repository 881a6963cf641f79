// (b) Durable produce of 64 KiB batches, against write and fdatasync of the same bytes in the same folder.

#include "tests/bench/bench.h"
#include "tests/bench/kafka_socket.h"
#include "tests/bench/limits.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::bench {
namespace {

constexpr int kProducesInFlight = 8;

}  // namespace

Result<std::vector<Row>> durable_produce(const Options& options) {
  const test::TempFolder folder(options.folder);
  test::Broker broker(folder / "broker");
  if (!broker.start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + broker.log());
  ASSIGN_OR_RETURN(auto socket, KafkaSocket::connect(broker.kafka_port()));
  RETURN_IF_ERROR(create_topic(socket, "produce"));
  ASSIGN_OR_RETURN(const auto batch, batch_of_64_kib());
  const int count = options.produce_batches;
  const double megabytes = static_cast<double>(batch.size()) * count / 1e6;

  std::vector<double> figures, limits, ratios, single_figures, single_ratios;
  RETURN_IF_ERROR(produce(socket, "produce", batch, count / 10, kProducesInFlight));  // warms up
  for (int run = 0; run < options.runs; ++run) {
    ASSIGN_OR_RETURN(const double raw, write_and_sync(broker.data() + "/raw.bench", batch, count));
    ASSIGN_OR_RETURN(const double brokers, produce(socket, "produce", batch, count, kProducesInFlight));
    limits.push_back(megabytes / raw);
    figures.push_back(megabytes / brokers);
    ratios.push_back(raw / brokers);
    // One request at a time is what write+fdatasync does; several share a sync.
    ASSIGN_OR_RETURN(const double single, produce(socket, "produce", batch, count, 1));
    single_figures.push_back(megabytes / single);
    single_ratios.push_back(raw / single);
    say(fmt::format("(b) run {}: broker {:.1f} MB/s, one at a time {:.1f} MB/s, write+fdatasync {:.1f} MB/s", run + 1,
                    figures.back(), single_figures.back(), limits.back()));
  }
  return std::vector<Row>{{.figure = "(b) durable produce, 64 KiB batches",
                           .measured = fmt::format("{:.1f} MB/s", median(figures)),
                           .limit = fmt::format("write+fdatasync {:.1f} MB/s", median(limits)),
                           .values = ratios, .want = Want::kAtLeast, .target = 0.70,
                           .note = fmt::format("{} requests in flight", kProducesInFlight)},
                          {.figure = "(b) the same, one request at a time",
                           .measured = fmt::format("{:.1f} MB/s", median(single_figures)),
                           .limit = fmt::format("write+fdatasync {:.1f} MB/s", median(limits)),
                           .values = single_ratios, .want = Want::kNothing}};
}

}  // namespace tributary::bench
