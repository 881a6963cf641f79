#include "common/protocol/encoder.h"

#include <bit>
#include <limits>

namespace tributary {

Result<Payload> Encoder::finish(std::string_view name) {
  if (!ok()) {
    return tributary::fail(Errc::kInvalidArgument, fmt::format("{} v{}, {}: {}", name, version_,
                                                               path_.text(), error_));
  }
  if (!buffer_.empty()) payload_.append(SharedBytes(std::move(buffer_)));
  return std::move(payload_);
}

void Encoder::raw_nullable_string(const std::optional<std::string>& v) {
  ByteWriter writer(buffer_);
  if (!v) return writer.i16(-1);
  if (v->size() > std::numeric_limits<std::int16_t>::max()) {
    return fail(fmt::format("a client id of {} bytes; at most 32767 can be sent", v->size()));
  }
  writer.i16(static_cast<std::int16_t>(v->size()));
  writer.bytes(as_bytes(*v));
}

void Encoder::length(std::size_t length, LengthOf what) {
  // KIP-482 leaves strings at 32767 bytes in compact form too.
  const std::size_t max = what == LengthOf::kString ? std::numeric_limits<std::int16_t>::max()
                                                    : std::numeric_limits<std::int32_t>::max();
  if (length > max) return fail(fmt::format("a length of {}; at most {} can be sent", length, max));
  ByteWriter writer(buffer_);
  if (flexible_) writer.uvarint(static_cast<std::uint32_t>(length + 1));
  else if (what == LengthOf::kString) writer.i16(static_cast<std::int16_t>(length));
  else writer.i32(static_cast<std::int32_t>(length));
}

void Encoder::null(LengthOf what, Versions nullable) {
  if (!nullable.contains(version_)) return fail("null, which this version does not allow");
  ByteWriter writer(buffer_);
  if (flexible_) writer.uvarint(0);
  else if (what == LengthOf::kString) writer.i16(-1);
  else writer.i32(-1);
}

void Encoder::string(std::string_view v) {
  length(v.size(), LengthOf::kString);
  if (ok()) ByteWriter(buffer_).bytes(as_bytes(v));
}

void Encoder::bytes(ByteView v) {
  length(v.size(), LengthOf::kBytesOrArray);
  if (ok()) ByteWriter(buffer_).bytes(v);
}

void Encoder::records(const Records& v, Versions nullable) {
  if (v.is_null()) return null(LengthOf::kBytesOrArray, nullable);
  const Payload* parts = v.external();
  if (!parts) return bytes(v.view());
  length(v.size_bytes(), LengthOf::kBytesOrArray);
  if (!ok()) return;
  CHECK(tagged_depth_ == 0, "records in a tagged field would have to be copied");
  payload_.append(SharedBytes(std::exchange(buffer_, Bytes{})));
  payload_.append(*parts);
}

void Encoder::real(double v) { ByteWriter(buffer_).u64(std::bit_cast<std::uint64_t>(v)); }

void Encoder::fail_not_in_version() { fail("set, but this version has no such field"); }

void FieldEncoder::write_tag_buffer() {
  std::ranges::sort(tagged_, {}, &Tagged::tag);
  ByteWriter writer(encoder_.buffer_);
  writer.uvarint(static_cast<std::uint32_t>(tagged_.size()));
  for (const auto& [tag, bytes] : tagged_) {
    writer.uvarint(static_cast<std::uint32_t>(tag));
    writer.uvarint(static_cast<std::uint32_t>(bytes.size()));
    writer.bytes(bytes);
  }
}

}  // namespace tributary
