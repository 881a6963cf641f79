#pragma once
// How a message says what it looks like. Each message, and each struct in one, has
//
//   static void fields(auto& m, auto& f) { f(m.name); f(m.rack, since(1).ignorable()); }
//
// with one line per field in wire order. Encoder and decoder (codec.h) are two visitors over that list;
// compact lengths and tag buffers of flexible versions are theirs to know.
//
// A message M also has: `api`, `name`, `valid` (the versions that it is encoded and decoded in), `flexible`
// (from_version(n) or kNoVersions); a request has `Response`, and `served` if a broker offers another
// range than `valid`.
//
// Field types: bool, int8..int64, uint16, double, enums and Strong<> of integers, std::string, Uuid, ByteView
// (BYTES, a view into the frame), Records, structs with fields, std::vector of these, and std::optional
// (null) of a string, ByteView or std::vector.
//
// A field outside its versions is left at its member initializer by the decoder; the encoder refuses a
// message where it differs from that, unless the field is ignorable.

#include "common/protocol/api.h"

namespace tributary {

struct Field {
  Versions versions{};
  Versions nullable{};  // of std::optional and Records fields: where null is allowed
  std::int16_t tag = -1;
  bool is_ignorable = false;

  /// Dropped silently when it is set and the version has no such field.
  [[nodiscard]] constexpr Field ignorable() const {
    auto copy = *this;
    copy.is_ignorable = true;
    return copy;
  }
  [[nodiscard]] constexpr Field nullable_since(std::int16_t version) const {
    auto copy = *this;
    copy.nullable = from_version(version);
    return copy;
  }
};

inline constexpr Field kAlways{};

[[nodiscard]] constexpr Field since(std::int16_t first) { return {.versions = from_version(first)}; }
[[nodiscard]] constexpr Field until(std::int16_t last) { return {.versions = {0, last}}; }
[[nodiscard]] constexpr Field between(std::int16_t first, std::int16_t last) {
  return {.versions = {first, last}};
}
/// In the tag buffer of its struct; left out there when it has its default.
[[nodiscard]] constexpr Field tagged(std::int16_t tag, std::int16_t first) {
  return {.versions = from_version(first), .tag = tag};
}

}  // namespace tributary
