#pragma once
// Reads the records of one batch, without copying them.

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/record/record_batch.h"

namespace tributary {

struct HeaderView {
  std::string_view key;
  std::optional<ByteView> value;  // nothing = null, which is not empty
};

struct RecordView {
  Offset offset{0};
  std::int64_t timestamp_ms = 0;
  std::optional<ByteView> key;    // nothing = null
  std::optional<ByteView> value;  // nothing = null (a tombstone in a compacted topic)
  std::span<const HeaderView> headers;
};

/// Lifecycle: open, next until it gives false. One thread at a time. Views given by next() point into
/// the batch or the decompressed buffer and live as long as that; `headers` only until the next call.
/// Allocates per batch (when compressed), never per record.
class RecordReader {
 public:
  /// `batch` is one whole batch (trailing bytes are refused) and must outlive the reader. The CRC is
  /// not checked here. Errors: those of parse_batch_header and Decompressor::decompress.
  [[nodiscard]] static Result<RecordReader> open(ByteView batch, std::size_t decompressed_bytes_max);

  /// The same with a decompressor of the caller's, which must outlive the reader and be used for
  /// nothing else meanwhile: for many batches in a row.
  [[nodiscard]] static Result<RecordReader> open(ByteView batch, std::size_t decompressed_bytes_max,
                                                 Decompressor& decompressor);

  /// Fills `record` and gives true; false after the last one. kCorrupt for a record that is malformed,
  /// whose offset delta is not above the former one's and at most last_offset_delta, or for bytes
  /// left over after the last one. After an error, every further call gives the same kind of error.
  [[nodiscard]] Result<bool> next(RecordView& record);

  [[nodiscard]] const BatchHeader& header() const { return header_; }

  /// All records as they are without compression, read or not; lives as long as the views that next() gives.
  [[nodiscard]] ByteView plain_records() const { return records_; }

 private:
  RecordReader(const BatchHeader& header, ByteView records) : header_(header), records_(records) {}
  [[nodiscard]] const char* parse_one(ByteView body, RecordView& record);

  BatchHeader header_;
  std::unique_ptr<Decompressor> own_decompressor_;
  ByteView records_;
  std::size_t position_ = 0;
  std::int32_t records_read_ = 0;
  std::int32_t last_delta_ = -1;
  std::vector<HeaderView> headers_;
};

}  // namespace tributary
