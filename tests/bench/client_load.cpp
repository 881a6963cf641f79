#include "tests/bench/client_load.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>

#include "tests/bench/bench.h"
#include "tests/compat/rdkafka_client.h"

namespace tributary::bench {
namespace {

using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

constexpr int kLoadTimeoutMs = 180'000;

Client client_of(rd_kafka_type_t type, const test::RdkafkaSettings& settings,
                 void (*on_delivery)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr, void* opaque = nullptr) {
  return {test::make_rdkafka_client(type, settings, on_delivery, opaque), rd_kafka_destroy};
}

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now().time_since_epoch()).count();
}

struct Deliveries {
  std::int64_t ok = 0, failed = 0;
  std::vector<std::int32_t> latencies_us;
};

void on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& deliveries = *static_cast<Deliveries*>(opaque);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++deliveries.failed;
    return;
  }
  ++deliveries.ok;
  deliveries.latencies_us.push_back(static_cast<std::int32_t>(now_us() - reinterpret_cast<std::intptr_t>(message->_private)));
}

double percentile(std::vector<std::int32_t>& values, double which) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(which * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

Result<LoadFigures> figures_of(SteadyClock::time_point start, std::int64_t records) {
  LoadFigures figures;
  figures.seconds = seconds_since(start);
  figures.records_per_second = static_cast<double>(records) / figures.seconds;
  return figures;
}

}  // namespace

Result<LoadFigures> produce_with_librdkafka(const std::string& bootstrap, const Load& load) {
  Deliveries deliveries;
  deliveries.latencies_us.reserve(static_cast<std::size_t>(load.records));
  const auto producer = client_of(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstrap}, {"acks", "all"},
                                                      {"enable.idempotence", "true"}, {"linger.ms", "5"}},
                                  on_delivered, &deliveries);
  std::string value(load.record_bytes, 'r');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>('a' + i * 7 % 26);
  const auto start = SteadyClock::now();
  for (std::int64_t i = 0; i < load.records; ++i) {
    while (true) {
      const auto error = rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC(load.topic.c_str()),
                                           RD_KAFKA_V_PARTITION(static_cast<std::int32_t>(i / 500 % load.partitions)),
                                           RD_KAFKA_V_VALUE(value.data(), value.size()),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(static_cast<std::intptr_t>(now_us()))),
                                           RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(Errc::kUnavailable, rd_kafka_err2str(error));
      rd_kafka_poll(producer.get(), 10);
    }
    if (i % 256 == 0) rd_kafka_poll(producer.get(), 0);
  }
  if (rd_kafka_flush(producer.get(), kLoadTimeoutMs) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return fail(Errc::kTimeout, "not all records were delivered in time");
  ASSIGN_OR_RETURN(auto figures, figures_of(start, load.records));
  if (deliveries.ok != load.records)
    return fail(Errc::kUnavailable, fmt::format("{} of {} records were delivered", deliveries.ok, load.records));
  figures.p99_ms = percentile(deliveries.latencies_us, 0.99) / 1e3;
  return figures;
}

Result<LoadFigures> consume_with_librdkafka(const std::string& bootstrap, const Load& load) {
  const auto consumer = client_of(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstrap}, {"group.id", "load"},
                                                      {"enable.auto.commit", "false"}, {"check.crcs", "false"}});
  rd_kafka_poll_set_consumer(consumer.get());
  auto* partitions = rd_kafka_topic_partition_list_new(load.partitions);
  for (int i = 0; i < load.partitions; ++i)
    rd_kafka_topic_partition_list_add(partitions, load.topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  const auto start = SteadyClock::now();
  rd_kafka_assign(consumer.get(), partitions);
  rd_kafka_topic_partition_list_destroy(partitions);
  auto* queue = rd_kafka_queue_get_consumer(consumer.get());
  std::vector<rd_kafka_message_t*> messages(1'000);
  std::int64_t count = 0;
  while (count < load.records && seconds_since(start) * 1e3 < kLoadTimeoutMs) {
    const auto got = rd_kafka_consume_batch_queue(queue, 1'000, messages.data(), messages.size());
    for (ssize_t i = 0; i < got; ++i) {
      const auto* message = messages[static_cast<std::size_t>(i)];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->len == load.record_bytes) ++count;
      rd_kafka_message_destroy(messages[static_cast<std::size_t>(i)]);
    }
  }
  auto figures = figures_of(start, count);
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer.get());
  if (count < load.records) return fail(Errc::kTimeout, fmt::format("{} of {} records were consumed", count, load.records));
  return figures;
}

Result<LoadFigures> produce_to_mock(const Load& load) {
  const auto host = client_of(RD_KAFKA_PRODUCER, {});
  auto* cluster = rd_kafka_mock_cluster_new(host.get(), 1);
  if (!cluster) return fail(Errc::kUnavailable, "librdkafka has no mock broker");
  rd_kafka_mock_topic_create(cluster, load.topic.c_str(), load.partitions, 1);
  auto figures = produce_with_librdkafka(rd_kafka_mock_cluster_bootstraps(cluster), load);
  rd_kafka_mock_cluster_destroy(cluster);
  return figures;
}

Result<> create_load_topic(const std::string& bootstrap, const Load& load) {
  const auto admin = client_of(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstrap}});
  char error[256];
  auto* topic = rd_kafka_NewTopic_new(load.topic.c_str(), load.partitions, 1, error, sizeof error);
  auto* queue = rd_kafka_queue_new(admin.get());
  rd_kafka_CreateTopics(admin.get(), &topic, 1, nullptr, queue);
  auto* event = rd_kafka_queue_poll(queue, 30'000);
  Result<> created;
  if (!event) created = fail(Errc::kTimeout, "the topic was not created in time");
  else if (rd_kafka_event_error(event)) created = fail(Errc::kUnavailable, rd_kafka_event_error_string(event));
  if (event) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(topic);
  return created;
}

Result<double> cpu_seconds(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return fail(Errc::kNotFound, fmt::format("there is no process {}", pid));
  std::istringstream fields(text.substr(end_of_name + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::int64_t user = 0, system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace tributary::bench
