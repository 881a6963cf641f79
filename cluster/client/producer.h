#pragma once
// Sends records: batched, in order per partition, and with idempotence exactly once.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cluster/client/cluster_client.h"
#include "common/record/batch_builder.h"

namespace tributary {

struct ProducerOptions {
  Compression compression = Compression::kNone;
  std::optional<int> compression_level;
  std::size_t batch_bytes = 256u << 10;   // before compression, 15 MiB at most; a larger record goes alone
  Duration linger = std::chrono::milliseconds(5);
  std::size_t buffered_bytes_max = 32u << 20;  // send() waits above this
  /// A batch not acknowledged for so long makes the producer fail.
  Duration delivery_timeout = std::chrono::seconds(120);
  /// The broker knows a batch that it already has (InitProducerId, KIP-98). Without it, a retry after a
  /// lost answer may append twice.
  bool idempotent = true;
  bool auto_create_topics = true;  // if the broker allows it

  struct Delivered {
    TopicPartition partition;
    Offset base_offset{-1};  // -1: the broker had it already and no longer knows where
    std::int32_t record_count = 0;
    std::size_t batch_bytes = 0;
  };
  /// On the producer's thread, in order per partition; must not call the producer.
  std::function<void(const Delivered&)> on_delivered;
  /// Told of every failure that is retried, on the producer's thread.
  std::function<void(const Error&)> on_trouble;
};

/// Has a thread of its own; send() and flush() may be called from any thread. acks=all. The client must
/// outlive it.
///
/// One batch per partition is in flight at a time, so that a retry never reorders; batches of different
/// partitions of one leader share a request. The first failure that retrying cannot cure (or the
/// delivery timeout) ends the producer: what was not delivered by then is dropped, and every later call
/// gives that error. Whoever needs to know what was delivered listens to on_delivered.
class Producer {
 public:
  explicit Producer(ClusterClient& client, ProducerOptions options = {});
  /// Drops what is not delivered: flush() first.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  struct Record {
    std::optional<ByteView> key;
    std::optional<ByteView> value;
    std::span<const HeaderView> headers{};
    std::optional<std::int64_t> timestamp_ms;  // nothing: now
  };

  /// Copies the record into the batch of its partition: that of the key (murmur2), or without a key one
  /// partition until its batch is full, then the next (KIP-480). Blocks while buffered_bytes_max is
  /// reached and for the topic's metadata the first time. kTooLarge over 15 MiB, kNotFound,
  /// or the producer's error. Success says only that it is buffered.
  [[nodiscard]] Result<> send(const std::string& topic, const Record& record,
                              std::optional<PartitionIndex> partition = std::nullopt);

  /// Sends what is buffered without lingering and waits until all is acknowledged by the broker, which
  /// with the broker's default means on disk. kTimeout if `timeout` passes first. If it never returns,
  /// any prefix of each partition's records may be in the log.
  [[nodiscard]] Result<> flush(Duration timeout);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
