#pragma once
// What librdkafka, a client that people have, gets out of a broker.

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace tributary::bench {

struct Load {
  std::string topic = "load";
  int partitions = 6;
  std::int64_t records = 1'000'000;
  std::size_t record_bytes = 100;
};

struct LoadFigures {
  double seconds = 0;
  double p99_ms = 0;  // from the producer's call to the delivery report; 0 of a consumer
  double records_per_second = 0;
};

/// As Kafka's perf tool does: acks=all, idempotent, linger 5 ms, everything else as the client defaults to. The topic
/// exists.
[[nodiscard]] Result<LoadFigures> produce_with_librdkafka(const std::string& bootstrap, const Load& load);

/// All records of the topic, from the first on.
[[nodiscard]] Result<LoadFigures> consume_with_librdkafka(const std::string& bootstrap, const Load& load);

/// The same load on librdkafka's own mock broker, in this process and in memory: what the client can do.
[[nodiscard]] Result<LoadFigures> produce_to_mock(const Load& load);

/// Creates the topic with librdkafka's admin client.
[[nodiscard]] Result<> create_load_topic(const std::string& bootstrap, const Load& load);

/// User and system time that the process has used so far.
[[nodiscard]] Result<double> cpu_seconds(int pid);

}  // namespace tributary::bench
