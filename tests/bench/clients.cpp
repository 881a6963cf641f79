// (g), (h) Small records through librdkafka, in and out, beside the client's own mock broker and, where it can be had,
// Kafka itself under the same load.

#include "tests/bench/bench.h"
#include "tests/bench/client_load.h"
#include "tests/bench/pipeline.h"
#include "tests/compat/real_kafka.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::bench {
namespace {

/// One broker, measured over several runs.
struct Peer {
  std::string name;
  std::string bootstrap;
  int pid = -1;
  std::vector<double> produced, p99_ms, consumed, produce_cpu, consume_cpu;  // records/s, ms, records/s, s/GB, s/GB
  double rss_mib = 0;
};

double gigabytes(const Load& load) { return static_cast<double>(load.records) * static_cast<double>(load.record_bytes) / 1e9; }

Result<> measure(Peer& peer, Load load, int run) {
  load.topic = fmt::format("load-{}", run);
  RETURN_IF_ERROR(create_load_topic(peer.bootstrap, load));
  ASSIGN_OR_RETURN(const double before, cpu_seconds(peer.pid));
  ASSIGN_OR_RETURN(const auto produced, produce_with_librdkafka(peer.bootstrap, load));
  ASSIGN_OR_RETURN(const double between, cpu_seconds(peer.pid));
  ASSIGN_OR_RETURN(const auto consumed, consume_with_librdkafka(peer.bootstrap, load));
  ASSIGN_OR_RETURN(const double after, cpu_seconds(peer.pid));
  peer.produced.push_back(produced.records_per_second);
  peer.p99_ms.push_back(produced.p99_ms);
  peer.consumed.push_back(consumed.records_per_second);
  peer.produce_cpu.push_back((between - before) / gigabytes(load));
  peer.consume_cpu.push_back((after - between) / gigabytes(load));
  ASSIGN_OR_RETURN(const auto bytes, resident_bytes(peer.pid));
  peer.rss_mib = static_cast<double>(bytes) / (1024 * 1024);
  say(fmt::format("(g) run {}: {}: produce {}/s (p99 {:.1f} ms, {:.1f} CPU s/GB), consume {}/s ({:.1f} CPU s/GB), {:.0f} MiB", run + 1,
                  peer.name, grouped(produced.records_per_second), produced.p99_ms, peer.produce_cpu.back(),
                  grouped(consumed.records_per_second), peer.consume_cpu.back(), peer.rss_mib));
  return {};
}

std::vector<double> ratios(const std::vector<double>& of, const std::vector<double>& to) {
  std::vector<double> all;
  for (std::size_t i = 0; i < of.size(); ++i) all.push_back(of[i] / to[i]);
  return all;
}

void add_rows(std::vector<Row>& rows, const Peer& ours, const std::vector<double>& mock) {
  rows.push_back({.figure = "(g) produce 100 B, " + ours.name,
                  .measured = fmt::format("{} /s, p99 {:.1f} ms", grouped(median(ours.produced)), median(ours.p99_ms)),
                  .limit = fmt::format("librdkafka's mock {} /s", grouped(median(mock))), .values = ratios(ours.produced, mock),
                  .want = Want::kNothing, .note = fmt::format("{:.1f} CPU s/GB", median(ours.produce_cpu))});
  rows.push_back({.figure = "(h) consume 100 B, " + ours.name, .measured = fmt::format("{} /s", grouped(median(ours.consumed))),
                  .values = ours.consume_cpu, .want = Want::kNothing, .unit = "CPU s/GB"});
}

void add_comparison(std::vector<Row>& rows, const Peer& ours, const Peer& kafka) {
  const auto row = [&](std::string what, std::string measured, std::string limit, std::vector<double> values) {
    rows.push_back({.figure = fmt::format("{}, {}", what, ours.name), .measured = std::move(measured),
                    .limit = kafka.name + " " + std::move(limit), .values = std::move(values), .want = Want::kNothing});
  };
  row("(g) produce", grouped(median(ours.produced)) + " /s", grouped(median(kafka.produced)) + " /s",
      ratios(ours.produced, kafka.produced));
  row("(g) p99", fmt::format("{:.1f} ms", median(ours.p99_ms)), fmt::format("{:.1f} ms", median(kafka.p99_ms)),
      ratios(ours.p99_ms, kafka.p99_ms));
  row("(g) CPU s/GB", fmt::format("{:.1f}", median(ours.produce_cpu)), fmt::format("{:.1f}", median(kafka.produce_cpu)),
      ratios(ours.produce_cpu, kafka.produce_cpu));
  row("(h) consume", grouped(median(ours.consumed)) + " /s", grouped(median(kafka.consumed)) + " /s",
      ratios(ours.consumed, kafka.consumed));
  row("(h) CPU s/GB", fmt::format("{:.1f}", median(ours.consume_cpu)), fmt::format("{:.1f}", median(kafka.consume_cpu)),
      ratios(ours.consume_cpu, kafka.consume_cpu));
  row("RSS", fmt::format("{:.0f} MiB", ours.rss_mib), fmt::format("{:.0f} MiB", kafka.rss_mib), {ours.rss_mib / kafka.rss_mib});
}

}  // namespace

Result<std::vector<Row>> small_records(const Options& options) {
  const test::TempFolder folder(options.folder);
  test::Broker durable(folder / "durable"), cached(folder / "cached");
  cached.extra_args = {"--flush", "interval"};
  for (auto* broker : {&durable, &cached})
    if (!broker->start_ready()) return fail(Errc::kUnavailable, "the broker does not start:\n" + broker->log());
  const auto peer_of = [](std::string name, test::Broker& broker) {
    return Peer{std::move(name), fmt::format("127.0.0.1:{}", broker.kafka_port()), broker.process().pid(), {}, {}, {}, {}, {}};
  };
  std::vector<Peer> peers{peer_of("flush = always", durable), peer_of("flush = interval", cached)};

  std::optional<test::RealKafka> kafka;
  if (const auto& why = test::KafkaJars::why_not(); !why.empty()) {
    say("(g) without Kafka beside it: " + why);
  } else {
    kafka.emplace(folder / "kafka", "1g");
    if (!kafka->start_ready()) return fail(Errc::kUnavailable, "Kafka does not start:\n" + kafka->log());
    peers.push_back({fmt::format("Kafka {}", test::KafkaJars::kVersion), kafka->address(), kafka->pid(), {}, {}, {}, {}, {}});
  }

  const Load load{.records = options.small_records};
  std::vector<double> mock;
  // Once for nothing: the JVM compiles what it runs often.
  for (auto& peer : peers) {
    auto warm_up = peer;
    RETURN_IF_ERROR(measure(warm_up, load, 1'000));
  }
  for (int run = 0; run < options.runs; ++run) {
    ASSIGN_OR_RETURN(const auto alone, produce_to_mock(load));
    mock.push_back(alone.records_per_second);
    for (auto& peer : peers) RETURN_IF_ERROR(measure(peer, load, run));
  }
  std::vector<Row> rows;
  add_rows(rows, peers[0], mock);
  add_rows(rows, peers[1], mock);
  if (kafka) {
    add_comparison(rows, peers[0], peers[2]);
    add_comparison(rows, peers[1], peers[2]);
    (void)kafka->stop();
  }
  return rows;
}

}  // namespace tributary::bench
