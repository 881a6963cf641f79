#pragma once
// Bounds-checked reading of big-endian integers and Kafka's varints.

#include <bit>
#include <cstring>

#include "common/bytes/bytes.h"

namespace tributary {

/// Reads from a view that must outlive it. An error sticks: after the first read past the end or
/// malformed varint, ok() is false and every further read gives zero or empty. Check ok() before
/// acting on what was read; check remaining() before allocating by a count from the wire.
class ByteReader {
 public:
  explicit ByteReader(ByteView view) : view_(view) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t remaining() const { return view_.size() - position_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  void mark_failed() { ok_ = false; position_ = view_.size(); }

  std::int8_t i8() { return static_cast<std::int8_t>(integer<std::uint8_t>()); }
  std::int16_t i16() { return static_cast<std::int16_t>(integer<std::uint16_t>()); }
  std::int32_t i32() { return static_cast<std::int32_t>(integer<std::uint32_t>()); }
  std::int64_t i64() { return static_cast<std::int64_t>(integer<std::uint64_t>()); }
  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }

  /// LEB128, at most 5 (32-bit) or 10 (64-bit) bytes.
  std::uint32_t uvarint() { return static_cast<std::uint32_t>(leb128(5)); }
  std::uint64_t uvarlong() { return leb128(10); }
  /// Zigzag, as in record batches.
  std::int32_t varint() {
    const auto n = uvarint();
    return static_cast<std::int32_t>((n >> 1) ^ (~(n & 1) + 1));
  }
  std::int64_t varlong() {
    const auto n = uvarlong();
    return static_cast<std::int64_t>((n >> 1) ^ (~(n & 1) + 1));
  }

  /// The next `count` bytes, without a copy.
  ByteView bytes(std::size_t count) {
    if (count > remaining()) { mark_failed(); return {}; }
    const auto part = view_.subspan(position_, count);
    position_ += count;
    return part;
  }
  void skip(std::size_t count) { (void)bytes(count); }

 private:
  template <class U>
  U integer() {
    if (remaining() < sizeof(U)) { mark_failed(); return 0; }
    U value;
    std::memcpy(&value, view_.data() + position_, sizeof(U));
    position_ += sizeof(U);
    if constexpr (sizeof(U) == 1) return value;
    else if constexpr (sizeof(U) == 2) return __builtin_bswap16(value);
    else if constexpr (sizeof(U) == 4) return __builtin_bswap32(value);
    else return __builtin_bswap64(value);
  }
  std::uint64_t leb128(int bytes_max) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes_max; ++i) {
      if (position_ >= view_.size()) { mark_failed(); return 0; }
      const std::uint8_t byte = view_[position_++];
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) {
        if (bytes_max == 5 && value > 0xffffffffull) { mark_failed(); return 0; }
        return value;
      }
    }
    mark_failed();
    return 0;
  }

  ByteView view_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

static_assert(std::endian::native == std::endian::little, "the byte swaps assume little endian");

}  // namespace tributary
