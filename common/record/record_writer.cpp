#include "common/record/record_writer.h"

#include <bit>

#include "common/base/check.h"
#include "common/bytes/crc32c.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {

constexpr std::size_t kVarintMax = 5, kVarlongMax = 10;
constexpr std::int16_t kCodecMask = 7;

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

std::size_t record_bytes_max(std::optional<ByteView> key, std::optional<ByteView> value,
                             std::span<const HeaderView> headers) {
  // Length, attributes, timestamp, offset, key length, value length, header count.
  std::size_t bytes = kVarintMax + 1 + kVarlongMax + kVarintMax + kVarintMax + kVarintMax + kVarintMax;
  bytes += length_of(key) + length_of(value);
  for (const auto& header : headers)
    bytes += 2 * kVarintMax + header.key.size() + length_of(header.value);
  return bytes;
}

void append_record(Bytes& out, std::int64_t timestamp_delta, std::int32_t offset_delta, std::optional<ByteView> key,
                   std::optional<ByteView> value, std::span<const HeaderView> headers) {
  std::size_t body = 1 + varlong_size(timestamp_delta) + varlong_size(offset_delta) + nullable_size(key) +
                     nullable_size(value) + varlong_size(static_cast<std::int64_t>(headers.size()));
  for (const auto& header : headers)
    body += varlong_size(static_cast<std::int64_t>(header.key.size())) + header.key.size() +
            nullable_size(header.value);
  ByteWriter writer(out);
  writer.varint(static_cast<std::int32_t>(body));
  [[maybe_unused]] const auto body_at = out.size();
  writer.i8(0);
  writer.varlong(timestamp_delta);
  writer.varint(offset_delta);
  write_nullable(writer, key);
  write_nullable(writer, value);
  writer.varint(static_cast<std::int32_t>(headers.size()));
  for (const auto& header : headers) {
    write_nullable(writer, as_bytes(header.key));
    write_nullable(writer, header.value);
  }
  CHECK(out.size() - body_at == body, "a record's length {} == {}", body, out.size() - body_at);
}

std::int64_t wrapping_difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

Bytes assemble_batch(const BatchHeader& header, ByteView records) {
  Bytes batch;
  batch.reserve(kBatchHeaderSize + records.size());
  ByteWriter writer(batch);
  writer.i64(header.base_offset.value());
  writer.i32(static_cast<std::int32_t>(kBatchHeaderSize - kBatchLengthEnd + records.size()));
  writer.i32(header.partition_leader_epoch.value());
  writer.i8(2);  // magic
  const auto crc_at = batch.size();
  writer.u32(0);
  const auto attributes_at = batch.size();
  writer.i16(header.attributes);
  writer.i32(header.last_offset_delta);
  writer.i64(header.base_timestamp_ms);
  writer.i64(header.max_timestamp_ms);
  writer.i64(header.producer_id.value());
  writer.i16(header.producer_epoch.value());
  writer.i32(header.base_sequence.value());
  writer.i32(header.record_count);
  CHECK(batch.size() == kBatchHeaderSize, "a header has {} bytes", batch.size());
  writer.bytes(records);
  writer.patch_i32(crc_at, static_cast<std::int32_t>(crc32c(ByteView(batch).subspan(attributes_at))));
  return batch;
}

Result<Bytes> compress_batch(BatchHeader header, ByteView records, Compression codec, std::optional<int> level,
                             Compressor& compressor, Bytes& scratch) {
  auto content = records;
  if (codec != Compression::kNone) {
    scratch.clear();
    RETURN_IF_ERROR(compressor.compress(codec, level, records, scratch));
    if (scratch.size() < records.size()) content = scratch;
    else codec = Compression::kNone;
  }
  header.attributes = static_cast<std::int16_t>((header.attributes & ~kCodecMask) | static_cast<std::int16_t>(codec));
  return assemble_batch(header, content);
}

}  // namespace tributary
