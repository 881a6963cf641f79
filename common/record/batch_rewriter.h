#pragma once
// A batch with fewer records: what a log cleaner writes.

#include <optional>

#include "common/record/record_writer.h"

namespace tributary {

/// Lifecycle: begin, keep records, finish; and the next batch. One thread at a time.
class BatchRewriter {
 public:
  /// The next batch is to be like the one with `header`: same offsets (also the last one, whatever is kept), epoch,
  /// producer, sequence, codec, kind of timestamps. With `delete_horizon_ms` its tombstones may go then (KIP-534).
  void begin(const BatchHeader& header, std::optional<std::int64_t> delete_horizon_ms);

  /// A record of that batch, in their order.
  void keep(const RecordView& record);

  [[nodiscard]] std::int32_t kept() const { return header_.record_count; }

  /// Without a record: only the header, which keeps the offsets and the producer's sequence (as Kafka's
  /// writeEmptyHeader). Fails only if the codec runs out of memory.
  [[nodiscard]] Result<Bytes> finish(Compressor& compressor);

 private:
  BatchHeader header_;
  std::int64_t former_max_ms_ = kNoTimestamp;
  Bytes records_;
  Bytes scratch_;
};

}  // namespace tributary
