#pragma once
// Appending big-endian integers and Kafka's varints to a byte string.

#include <cstring>

#include "common/bytes/bytes.h"

namespace tributary {

/// Appends to a Bytes that it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  [[nodiscard]] std::size_t size() const { return out_.size(); }

  void i8(std::int8_t v) { out_.push_back(static_cast<std::uint8_t>(v)); }
  void i16(std::int16_t v) { integer(__builtin_bswap16(static_cast<std::uint16_t>(v))); }
  void i32(std::int32_t v) { integer(__builtin_bswap32(static_cast<std::uint32_t>(v))); }
  void i64(std::int64_t v) { integer(__builtin_bswap64(static_cast<std::uint64_t>(v))); }
  void u16(std::uint16_t v) { integer(__builtin_bswap16(v)); }
  void u32(std::uint32_t v) { integer(__builtin_bswap32(v)); }
  void u64(std::uint64_t v) { integer(__builtin_bswap64(v)); }

  void uvarint(std::uint32_t v) { leb128(v); }
  void uvarlong(std::uint64_t v) { leb128(v); }
  void varint(std::int32_t v) {
    leb128((static_cast<std::uint32_t>(v) << 1) ^ static_cast<std::uint32_t>(v >> 31));
  }
  void varlong(std::int64_t v) {
    leb128((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
  }

  void bytes(ByteView view) { out_.insert(out_.end(), view.begin(), view.end()); }

  /// Overwrites four bytes at `position`, for lengths known only afterwards.
  void patch_i32(std::size_t position, std::int32_t v) {
    const auto swapped = __builtin_bswap32(static_cast<std::uint32_t>(v));
    std::memcpy(out_.data() + position, &swapped, sizeof swapped);
  }

 private:
  template <class U>
  void integer(U swapped) {
    const auto at = out_.size();
    out_.resize(at + sizeof(U));
    std::memcpy(out_.data() + at, &swapped, sizeof(U));
  }
  void leb128(std::uint64_t v) {
    while (v >= 0x80) {
      out_.push_back(static_cast<std::uint8_t>(v | 0x80));
      v >>= 7;
    }
    out_.push_back(static_cast<std::uint8_t>(v));
  }

  Bytes& out_;
};

}  // namespace tributary
