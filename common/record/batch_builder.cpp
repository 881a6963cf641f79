#include "common/record/batch_builder.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/bytes/crc32c.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {
constexpr std::size_t kBatchBytesMax = 1u << 30;
constexpr std::size_t kVarintMax = 5, kVarlongMax = 10;

std::size_t varlong_size(std::int64_t value) {
  const auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  return (static_cast<std::size_t>(std::bit_width(zigzag | 1)) + 6) / 7;
}
std::size_t length_of(const std::optional<ByteView>& field) { return field ? field->size() : 0; }
std::int32_t signed_length(const std::optional<ByteView>& field) {
  return field ? static_cast<std::int32_t>(field->size()) : -1;
}
std::size_t nullable_size(const std::optional<ByteView>& field) {
  return varlong_size(signed_length(field)) + length_of(field);
}
void write_nullable(ByteWriter& writer, const std::optional<ByteView>& field) {
  writer.varint(signed_length(field));
  if (field) writer.bytes(*field);
}
}  // namespace

std::size_t BatchBuilder::record_bytes_max(std::optional<ByteView> key, std::optional<ByteView> value,
                                           std::span<const HeaderView> headers) {
  // Length, attributes, timestamp, offset, key length, value length, header count.
  std::size_t bytes = kVarintMax + 1 + kVarlongMax + kVarintMax + kVarintMax + kVarintMax + kVarintMax;
  bytes += length_of(key) + length_of(value);
  for (const auto& header : headers)
    bytes += 2 * kVarintMax + header.key.size() + length_of(header.value);
  return bytes;
}

void BatchBuilder::append(std::int64_t timestamp_ms, std::optional<ByteView> key,
                          std::optional<ByteView> value, std::span<const HeaderView> headers) {
  const auto bytes_max = record_bytes_max(key, value, headers);
  CHECK(bytes_max <= kBatchBytesMax - records_.size(), "a batch of {} + {} bytes <= 1 GiB",
        records_.size(), bytes_max);
  if (record_count_ == 0) base_timestamp_ms_ = max_timestamp_ms_ = timestamp_ms;
  max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);
  // Wraps rather than overflows, as the reader's sum does.
  const auto timestamp_delta = static_cast<std::int64_t>(
      static_cast<std::uint64_t>(timestamp_ms) - static_cast<std::uint64_t>(base_timestamp_ms_));
  std::size_t body = 1 + varlong_size(timestamp_delta) + varlong_size(record_count_) +
                     nullable_size(key) + nullable_size(value) +
                     varlong_size(static_cast<std::int64_t>(headers.size()));
  for (const auto& header : headers)
    body += varlong_size(static_cast<std::int64_t>(header.key.size())) + header.key.size() +
            nullable_size(header.value);
  ByteWriter writer(records_);
  writer.varint(static_cast<std::int32_t>(body));
  [[maybe_unused]] const auto body_at = records_.size();
  writer.i8(0);
  writer.varlong(timestamp_delta);
  writer.varint(record_count_);
  write_nullable(writer, key);
  write_nullable(writer, value);
  writer.varint(static_cast<std::int32_t>(headers.size()));
  for (const auto& header : headers) {
    write_nullable(writer, as_bytes(header.key));
    write_nullable(writer, header.value);
  }
  CHECK(records_.size() - body_at == body, "a record's length {} == {}", body,
        records_.size() - body_at);
  ++record_count_;
}

Result<Bytes> BatchBuilder::finish(const BatchOptions& options) {
  if (!own_compressor_) own_compressor_.emplace();
  return finish(options, *own_compressor_);
}

Result<Bytes> BatchBuilder::finish(const BatchOptions& options, Compressor& compressor) {
  CHECK(record_count_ > 0, "a batch has a record");
  auto codec = options.compression;
  ByteView content = records_;
  if (codec != Compression::kNone) {
    scratch_.clear();
    RETURN_IF_ERROR(compressor.compress(codec, options.level, records_, scratch_));
    if (scratch_.size() < records_.size()) content = scratch_;
    else codec = Compression::kNone;
  }
  Bytes batch;
  batch.reserve(kBatchHeaderSize + content.size());
  ByteWriter writer(batch);
  writer.i64(0);  // base offset
  writer.i32(static_cast<std::int32_t>(kBatchHeaderSize - kBatchLengthEnd + content.size()));
  writer.i32(kNoLeaderEpoch.value());
  writer.i8(2);  // magic
  const auto crc_at = batch.size();
  writer.u32(0);
  const auto attributes_at = batch.size();
  writer.i16(static_cast<std::int16_t>(codec));
  writer.i32(record_count_ - 1);
  writer.i64(base_timestamp_ms_);
  writer.i64(max_timestamp_ms_);
  writer.i64(options.producer_id.value());
  writer.i16(options.producer_epoch.value());
  writer.i32(options.base_sequence.value());
  writer.i32(record_count_);
  CHECK(batch.size() == kBatchHeaderSize, "a header has {} bytes", batch.size());
  writer.bytes(content);
  writer.patch_i32(crc_at, static_cast<std::int32_t>(crc32c(ByteView(batch).subspan(attributes_at))));
  clear();
  return batch;
}

void BatchBuilder::clear() {
  // One huge batch must not keep its memory for ever.
  constexpr std::size_t kKeptBytesMax = 2u << 20;
  if (records_.capacity() > kKeptBytesMax) Bytes().swap(records_);
  if (scratch_.capacity() > kKeptBytesMax) Bytes().swap(scratch_);
  records_.clear();
  scratch_.clear();
  record_count_ = 0;
}

}  // namespace tributary
