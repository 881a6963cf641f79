#pragma once
// Builds record batches, one after the other, in buffers that are used again.

#include <optional>
#include <span>

#include "common/record/record_writer.h"

namespace tributary {

struct BatchOptions {
  Compression compression = Compression::kNone;
  std::optional<int> level;  // see Compressor
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
};

/// Lifecycle: append records, finish, append the next batch's ... One thread at a time.
class BatchBuilder {
 public:
  /// Copies the record in; its offset is the number of records before it. `timestamp_ms` may be
  /// smaller than a former one's. The batch must stay below 1 GiB: callers stop at their batch_bytes,
  /// long before.
  void append(std::int64_t timestamp_ms, std::optional<ByteView> key, std::optional<ByteView> value,
              std::span<const HeaderView> headers = {});

  [[nodiscard]] bool empty() const { return record_count_ == 0; }
  [[nodiscard]] std::int32_t record_count() const { return record_count_; }
  /// The size of the batch without compression, header included: exact.
  [[nodiscard]] std::size_t uncompressed_bytes() const { return kBatchHeaderSize + records_.size(); }
  /// How much an append of this record adds to uncompressed_bytes(), at most.
  [[nodiscard]] static std::size_t record_bytes_max(std::optional<ByteView> key, std::optional<ByteView> value,
                                                    std::span<const HeaderView> headers = {}) {
    return tributary::record_bytes_max(key, value, headers);
  }

  /// The batch: base offset 0, leader epoch -1, create time. Where compressing does not make it smaller
  /// it is stored with codec none. The builder is empty afterwards. There must be a record.
  /// Fails only if the codec runs out of memory; then the records are still there.
  [[nodiscard]] Result<Bytes> finish(const BatchOptions& options);
  /// The same with a compressor of the caller's: one for many builders.
  [[nodiscard]] Result<Bytes> finish(const BatchOptions& options, Compressor& compressor);

  /// Forgets the records, keeps the buffers.
  void clear();

 private:
  Bytes records_;  // plain
  std::int32_t record_count_ = 0;
  std::int64_t base_timestamp_ms_ = 0;
  std::int64_t max_timestamp_ms_ = 0;
  Bytes scratch_;
  std::optional<Compressor> own_compressor_;
};

}  // namespace tributary
