#pragma once
// What a broker can be told. The defaults need no configuration.

#include <chrono>
#include <cstdint>
#include <string>

#include "cluster/groups/group_types.h"
#include "common/base/ids.h"

namespace tributary {

enum class FlushMode {
  kAlways,    // acks=all answers after fdatasync; records are served to consumers after it
  kInterval,  // answers and serves after the write to the page cache; fdatasync every `flush_interval`
};

/// Of compacted topics.
struct CompactorOptions {
  std::chrono::milliseconds interval{15'000};  // between two looks at all partitions
  std::size_t memory_bytes = 64u << 20;        // see CleanerOptions
  std::uint64_t bytes_per_second = 50u << 20;  // read and written
};

struct BrokerOptions {
  std::string data = "./data";
  BrokerId node_id{1};
  std::size_t shards = 0;  // 0: one per core

  std::string kafka_host = "127.0.0.1";
  std::uint16_t kafka_port = 9092;  // 0: the system chooses
  std::string nng_url = "tcp://127.0.0.1:9093";
  std::size_t connections_max = 10'000;
  std::size_t frame_bytes_max = 100u << 20;  // over nng at most 16 MiB: NngServerOptions

  /// What clients are told to connect to. Empty: the host of the listener, or this machine's name where
  /// the listener is bound to all addresses. Ports 0: the listener's.
  std::string advertised_host;
  std::uint16_t advertised_kafka_port = 0;
  std::uint16_t advertised_nng_port = 0;

  bool auto_create_topics = true;
  std::int32_t num_partitions = 4;  // of topics that do not say
  std::int32_t partitions_per_topic_max = 1'000;
  std::int32_t offsets_topic_partitions = 50;  // of __consumer_offsets, at its creation
  GroupOptions groups;                         // but for offsets_partitions
  std::int32_t partitions_max = 10'000;  // of the broker: each has an open file

  // Defaults of topics' configurations.
  FlushMode flush = FlushMode::kAlways;
  std::chrono::milliseconds flush_interval{1'000};
  std::uint64_t segment_bytes = 1u << 30;
  std::chrono::milliseconds segment_ms = std::chrono::hours(168);
  std::uint32_t message_bytes_max = 1'048'588;
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // of a partition; -1: without limit

  /// A fetch is answered with at most so much (but for the first batch), and after so long, whatever
  /// it asks for.
  std::uint32_t fetch_bytes_max = 55u << 20;
  std::chrono::milliseconds fetch_wait_max{30'000};

  std::chrono::milliseconds checkpoint_interval{10'000};
  CompactorOptions compactor;
  /// How often each partition is looked at for what is too old or too much.
  std::chrono::milliseconds retention_check_interval = std::chrono::minutes(5);
};

}  // namespace tributary
