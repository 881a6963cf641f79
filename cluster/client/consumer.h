#pragma once
// Pulls partition streams.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/client/cluster_client.h"
#include "common/record/record_reader.h"

namespace tributary {

/// Where to begin reading a partition.
struct StartAt {
  enum class Kind { kEarliest, kLatest, kOffset, kTime, kMaxTimestamp };
  Kind kind = Kind::kEarliest;
  std::int64_t value = 0;  // kOffset: the offset; kTime: milliseconds since the Unix epoch

  static StartAt earliest() { return {Kind::kEarliest, 0}; }
  static StartAt latest() { return {Kind::kLatest, 0}; }
  static StartAt offset(Offset offset) { return {Kind::kOffset, offset.value()}; }
  /// At the first record with that timestamp or a later one; at the end if there is none.
  static StartAt time(WallMs wall_ms) { return {Kind::kTime, wall_ms}; }
  /// At the record with the largest timestamp, the first of equals; at the end if none has one. kUnsupported from
  /// brokers before Kafka 3.0 (KIP-734).
  static StartAt max_timestamp() { return {Kind::kMaxTimestamp, 0}; }
};

struct FoundOffset {
  Offset offset{0};
  std::int64_t timestamp_ms = kNoTimestamp;  // of the record there, where a time was asked for
};

/// Where `start` is in the partition right now; nothing if no record has such a time.
/// Errors: kNotFound, kUnavailable, kUnsupported.
[[nodiscard]] Result<std::optional<FoundOffset>> find_offset(ClusterClient& client, const TopicPartition& partition,
                                                             const StartAt& start, MonoTime deadline);

/// The offsets that `starts` mean right now, in the same order. Errors: kNotFound, kUnavailable.
[[nodiscard]] Result<std::vector<Offset>> resolve_offsets(
    ClusterClient& client, const std::vector<std::pair<TopicPartition, StartAt>>& starts,
    MonoTime deadline);

enum class OnOutOfRange { kFail, kEarliest, kLatest };

struct ConsumerOptions {
  std::size_t fetch_bytes_max = 8u << 20;      // of one answer; one per broker is fetched ahead
  std::size_t partition_bytes_max = 2u << 20;  // of one partition in an answer; a larger batch comes alone
  Duration fetch_wait = std::chrono::milliseconds(500);  // how long a broker may wait for data
  OnOutOfRange on_out_of_range = OnOutOfRange::kFail;
  bool check_crc = true;
  /// A partition that could not be fetched for so long makes poll() fail; zero: never.
  Duration unavailable_max = std::chrono::seconds(30);
  /// Told of every failure that is retried; on the thread of poll().
  std::function<void(const Error&)> on_trouble;
};

struct ConsumedBatch {
  TopicPartition partition;
  BatchHeader header;
  SharedBytes bytes;  // the whole batch; keeps the answer that it came in alive
  Offset from{0};     // records below were not asked for: a batch is delivered whole
};

/// One thread at a time; the client must outlive it. Positions are the caller's to store: nothing is committed anywhere.
/// Memory: one answer per broker (fetch_bytes_max, or one larger batch) that is fetched ahead, beside
/// the batches that the caller keeps.
class Consumer {
 public:
  explicit Consumer(ClusterClient& client, ConsumerOptions options = {});
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  /// Adds a partition, from `position` (see resolve_offsets). It must not be assigned already.
  void assign(const TopicPartition& partition, Offset position);
  void unassign(const TopicPartition& partition);

  /// Batches that have arrived, in offset order within each partition; waits up to `timeout` for the
  /// first (a little longer while a leader is looked for), and gives none if there are none. Leader
  /// changes and lost connections are handled inside.
  /// Errors: kNotFound (the topic is gone), kOutOfRange (with OnOutOfRange::kFail; names the partition
  /// and the offsets there are), kCorrupt (names partition and offset), kUnavailable (unavailable_max).
  /// After an error the positions are as before, and poll may be called again.
  [[nodiscard]] Result<std::vector<ConsumedBatch>> poll(Duration timeout);

  /// Of the next record that poll will deliver.
  [[nodiscard]] Offset position(const TopicPartition& partition) const;
  /// As the last answer said; nothing before the first.
  [[nodiscard]] std::optional<Offset> high_watermark(const TopicPartition& partition) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Visits the batch's records from `batch.from` on, none for a control batch, until `visit` says false.
/// kCorrupt and kTooLarge name the partition and the batch's offset.
[[nodiscard]] Result<> for_each_record(const ConsumedBatch& batch, Decompressor& decompressor,
                                       std::size_t decompressed_bytes_max,
                                       const std::function<bool(const RecordView&)>& visit);

}  // namespace tributary
