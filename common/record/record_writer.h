#pragma once
// The bytes of single records and of a batch around them: what the builder and the rewriter share.

#include <optional>
#include <span>

#include "common/record/record_reader.h"

namespace tributary {

/// How many bytes append_record adds, at most.
[[nodiscard]] std::size_t record_bytes_max(std::optional<ByteView> key, std::optional<ByteView> value,
                                           std::span<const HeaderView> headers);

/// Appends one record, its length first. Both deltas count from the batch's base values.
void append_record(Bytes& out, std::int64_t timestamp_delta, std::int32_t offset_delta, std::optional<ByteView> key,
                   std::optional<ByteView> value, std::span<const HeaderView> headers);

/// A minus b, which wraps rather than overflows: the reader's sum gives `a` again.
[[nodiscard]] std::int64_t wrapping_difference(std::int64_t a, std::int64_t b);

/// A whole batch: `header`, whose length and CRC are computed here, and `records` as they are to be stored
/// (the codec in header.attributes is the caller's).
[[nodiscard]] Bytes assemble_batch(const BatchHeader& header, ByteView records);

/// `header` and plain `records` as a whole batch with `codec`, or without one where that does not make it smaller.
/// `scratch` is a buffer to be used again. Fails only if the codec runs out of memory.
[[nodiscard]] Result<Bytes> compress_batch(BatchHeader header, ByteView records, Compression codec,
                                           std::optional<int> level, Compressor& compressor, Bytes& scratch);

}  // namespace tributary
