#pragma once
// Kafka's record batch v2 (magic 2), seen from outside: header, checks, patches, and the walk over
// several batches. Records are read with record_reader.h and written with batch_builder.h.
//
//   0 base_offset i64 | 8 batch_length i32 | 12 partition_leader_epoch i32 | 16 magic i8 | 17 crc u32
//   21 attributes i16 | 23 last_offset_delta i32 | 27 base_timestamp i64 | 35 max_timestamp i64
//   43 producer_id i64 | 51 producer_epoch i16 | 53 base_sequence i32 | 57 record_count i32 | 61 records
//
// Big endian. batch_length counts from byte 12. The CRC-32C covers byte 21 to the end, so base_offset
// and partition_leader_epoch can be changed without touching it.
// Source: https://kafka.apache.org/documentation/#recordbatch, KIP-98.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/record/compression.h"

namespace tributary {

inline constexpr std::size_t kBatchHeaderSize = 61;
/// What precedes the part that batch_length counts: base_offset and batch_length.
inline constexpr std::size_t kBatchLengthEnd = 12;
/// base_offset, batch_length, partition_leader_epoch: all that a broker changes, unless a topic asks for more.
inline constexpr std::size_t kBatchPrefixSize = 16;
inline constexpr std::int64_t kNoTimestamp = -1;
/// The smallest record: length, attributes, two deltas, no key, no value, no headers.
inline constexpr std::size_t kRecordBytesMin = 7;

enum class TimestampType : std::uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

struct BatchHeader {
  Offset base_offset{0};
  std::int32_t batch_length = 0;  // bytes after the length field itself
  LeaderEpoch partition_leader_epoch = kNoLeaderEpoch;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp_ms = 0;
  std::int64_t max_timestamp_ms = 0;  // of the records; with log append time, that time
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
  std::int32_t record_count = 0;

  [[nodiscard]] Compression compression() const { return static_cast<Compression>(attributes & 7); }
  [[nodiscard]] TimestampType timestamp_type() const {
    return static_cast<TimestampType>((attributes >> 3) & 1);
  }
  [[nodiscard]] bool transactional() const { return (attributes & 0x10) != 0; }
  [[nodiscard]] bool control() const { return (attributes & 0x20) != 0; }
  /// Its tombstones may go from this time on (KIP-534); nothing before a cleaner has seen them. The records' times
  /// count from it then.
  [[nodiscard]] std::optional<std::int64_t> delete_horizon_ms() const {
    return (attributes & kDeleteHorizon) != 0 ? std::optional(base_timestamp_ms) : std::nullopt;
  }
  static constexpr std::int16_t kDeleteHorizon = 0x40;
  /// The whole batch, header included.
  [[nodiscard]] std::size_t total_bytes() const {
    return kBatchLengthEnd + static_cast<std::size_t>(batch_length);
  }
  /// Inclusive.
  [[nodiscard]] Offset last_offset() const { return base_offset + last_offset_delta; }
  [[nodiscard]] Offset next_offset() const { return last_offset() + 1; }
  [[nodiscard]] bool idempotent() const { return producer_id.value() >= 0; }
  /// Inclusive; only meaningful if idempotent(). Wraps as sequences do.
  [[nodiscard]] Sequence last_sequence() const {
    return advanced(base_sequence, last_offset_delta);
  }
};

/// Reads the first 61 bytes of `view` (the batch itself need not follow). What it returns is safe to
/// compute with: batch_length >= 49, offsets do not overflow, record_count and last_offset_delta >= 0,
/// a known codec. kUnsupported for magic 0 and 1 (message sets of before Kafka 0.11), kCorrupt for the
/// rest. Checks neither the CRC nor that the batch is complete.
[[nodiscard]] Result<BatchHeader> parse_batch_header(ByteView view);

/// Checks bytes that a log holds: `batch` is exactly one batch, and the CRC matches.
/// kCorrupt names which check failed. Cheap: one pass of CRC-32C, no allocation.
[[nodiscard]] Result<BatchHeader> validate_stored_batch(ByteView batch);

enum class RecordCheck {
  kNone,            // header and CRC only
  kIfUncompressed,  // walk the records where that needs no decompression
  kAll,             // decompress too, within decompressed_bytes_max
};

struct BatchLimits {
  std::size_t batch_bytes_max = 1'048'588;  // Kafka's max.message.bytes; header included
  std::size_t decompressed_bytes_max = 64u << 20;
  RecordCheck record_check = RecordCheck::kIfUncompressed;
  bool keys_required = false;  // every record must have one; all are looked at then
};

/// The records on whose account a batch is refused (KIP-467): the first ones by name, and how many there are.
struct RefusedRecords {
  static constexpr std::size_t kNamedMax = 100;  // a batch has millions of them at worst
  struct Record {
    std::int32_t number = 0;  // within the batch, from 0
    std::string why;          // for its producer's eyes
  };
  std::vector<Record> named;
  std::size_t count = 0;

  /// `why` is called only if the record is to be named.
  void add(std::int32_t number, const auto& why) {
    if (named.size() < kNamedMax) named.push_back({number, why()});
    ++count;
  }
};

/// For errors of reading the records of a batch whose CRC is right: kCorrupt becomes kInvalidArgument, since the producer
/// made it so, and sending it again does not help.
[[nodiscard]] Error as_made(Error error);

/// Checks a batch that a producer sent, before it is appended: all of validate_stored_batch, and
/// at least one record, record_count == last_offset_delta + 1, no more records than can be in
/// `decompressed_bytes_max`, no delete horizon, a producer id with epoch and sequence or none (-1, whatever they are
/// then), create time, no control batch; then, as `record_check` says, that every record is well formed and has the offset
/// deltas 0, 1, 2 ... kTooLarge over `batch_bytes_max` (checked first) or over `decompressed_bytes_max`, kInvalidTimestamp
/// for log append time, kCorrupt where its length or CRC is wrong: it may have become so on the way; else
/// kInvalidArgument: no producer may send it. What it finds wrong with single records, it adds to `refused`, if given.
[[nodiscard]] Result<BatchHeader> validate_batch(ByteView batch, const BatchLimits& limits,
                                                 RefusedRecords* refused = nullptr);

// ---- Patches -------------------------------------------------------------------------------------

/// `header` as the bytes that parse_batch_header reads, CRC included. A log writes these and what follows in the
/// producer's batch, which itself stays untouched and shared.
[[nodiscard]] std::array<std::uint8_t, kBatchHeaderSize> encode_batch_header(const BatchHeader& header);

/// What `header.crc` must be for a batch of `header` and `records` (all that follows the header).
[[nodiscard]] std::uint32_t batch_crc(const BatchHeader& header, ByteView records);

/// All records of the batch have `time_ms` from now on, as their broker's time. The CRC is left as it was.
void set_log_append_time(BatchHeader& header, std::int64_t time_ms);

/// Gives a batch its place in a log. `batch` has at least 16 bytes.
void patch_offset_and_epoch(std::span<std::uint8_t> batch, Offset base_offset, LeaderEpoch epoch);

/// Gives a batch its producer and its sequence, and recomputes the CRC over all of it. `batch` is
/// exactly one well-formed batch.
void patch_producer(std::span<std::uint8_t> batch, ProducerId id, ProducerEpoch epoch,
                    Sequence base_sequence);

// ---- Several batches -----------------------------------------------------------------------------

struct BatchView {
  BatchHeader header;
  ByteView bytes;  // the whole batch, header included
};

enum class PartialTail {
  kRefuse,  // a produce request: every byte belongs to a batch
  kIgnore,  // a fetch response: the last batch may be cut by the size limit (KIP-74)
};

/// Walks the batches of a RECORDS field, which must outlive it. Checks headers, not CRCs.
class BatchIterator {
 public:
  explicit BatchIterator(ByteView records, PartialTail tail = PartialTail::kRefuse)
      : records_(records), tail_(tail) {}

  /// The next batch, or nothing at the end. After an error it stays at the end.
  [[nodiscard]] Result<std::optional<BatchView>> next();

  /// Bytes of whole batches given so far; with kIgnore, what follows is the cut one.
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  ByteView records_;
  PartialTail tail_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

}  // namespace tributary
