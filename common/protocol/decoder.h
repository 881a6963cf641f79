#pragma once
// The visitor that reads a message. Only the source files of messages include this.

#include <bit>

#include "common/bytes/reader.h"
#include "common/protocol/encoder.h"
#include "common/protocol/frame.h"

namespace tributary {

enum class Leftover { kRefused, kIgnored };  // bytes behind the last field

/// Reads one body from a view that must outlive the decoded message. The first error sticks.
/// Lengths and counts are checked against the bytes that are left, and against kDecodedBytesMax, before
/// anything is allocated for them.
class Decoder {
 public:
  Decoder(ByteView body, std::int16_t version, bool flexible)
      : reader_(body), version_(version), flexible_(flexible) {}

  template <class S>
  void structure(S& value);

  /// Success if all was read and, where that is refused, nothing is left; otherwise the error, with name, version, path and byte.
  [[nodiscard]] Result<> finish(std::string_view name, Leftover leftover);

 private:
  friend class FieldDecoder;
  enum class LengthOf { kString, kBytes, kArray };
  static constexpr std::int64_t kNull = -1;

  template <class T>
  void value(T& v, Versions nullable);
  template <class T>
  [[nodiscard]] T integer();
  template <class T>
  void array(T& v, std::int64_t count);

  /// kNull, or a length that is not over what is left; kNull after a failure too.
  [[nodiscard]] std::int64_t length(LengthOf what, std::size_t element_bytes_min);
  /// As length(), where null is allowed in `nullable` only.
  [[nodiscard]] std::int64_t length(LengthOf what, std::size_t element_bytes_min, Versions nullable);
  [[nodiscard]] ByteView take(std::int64_t count) { return reader_.bytes(static_cast<std::size_t>(count)); }
  void string(std::string& v, std::int64_t size);
  void charge(std::size_t count, std::size_t bytes_each);
  /// Reads a tag and its size; false at a failure.
  [[nodiscard]] bool next_tag(std::int64_t& tag, std::size_t& end);
  [[nodiscard]] std::uint32_t tag_count();
  void end_tag(bool known, std::size_t end);

  [[nodiscard]] bool ok() const { return error_.empty(); }
  void fail(std::size_t at, std::string what, Errc code = Errc::kCorrupt);

  ByteReader reader_;
  std::int16_t version_;
  bool flexible_;
  std::size_t charged_bytes_ = 0;
  std::size_t failed_at_ = 0;
  Errc code_ = Errc::kCorrupt;
  std::string error_;
  FieldPath path_;
};

/// Visits the fields of one struct: those in the body, or the one with a tag.
class FieldDecoder {
 public:
  static constexpr std::int64_t kUntagged = -1;
  FieldDecoder(Decoder& decoder, std::int64_t tag) : decoder_(decoder), tag_(tag) {}

  template <class T>
  void operator()(T& field, Field spec = kAlways) {
    ++index_;
    if (!decoder_.ok() || spec.tag != tag_ || !spec.versions.contains(decoder_.version_)) return;
    found_ = true;
    decoder_.value(field, spec.nullable);
    if (!decoder_.ok()) decoder_.path_.in_field(index_);
  }

  [[nodiscard]] bool found() const { return found_; }

 private:
  Decoder& decoder_;
  std::int64_t tag_;
  int index_ = -1;
  bool found_ = false;
};

template <class S>
void Decoder::structure(S& value) {
  FieldDecoder untagged(*this, FieldDecoder::kUntagged);
  S::fields(value, untagged);
  if (!flexible_ || !ok()) return;
  std::int64_t tag = -1;
  std::size_t end = 0;
  for (auto left = tag_count(); left > 0 && next_tag(tag, end); --left) {
    FieldDecoder one(*this, tag);
    S::fields(value, one);
    if (ok()) end_tag(one.found(), end);
  }
}

template <class T>
T Decoder::integer() {
  if (reader_.remaining() < sizeof(T)) {
    fail(reader_.position(), fmt::format("the frame ends within a field of {} bytes", sizeof(T)));
    return T{};
  }
  if constexpr (sizeof(T) == 1) return static_cast<T>(reader_.i8());
  else if constexpr (sizeof(T) == 2) return static_cast<T>(reader_.i16());
  else if constexpr (sizeof(T) == 4) return static_cast<T>(reader_.i32());
  else return static_cast<T>(reader_.i64());
}

template <class T>
void Decoder::array(T& v, std::int64_t count) {
  using Element = typename T::value_type;
  charge(static_cast<std::size_t>(count), sizeof(Element));
  if (!ok()) return;
  v.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size() && ok(); ++i) {
    value(v[i], kNoVersions);
    if (!ok()) path_.in_element(i);
  }
}

template <class T>
[[nodiscard]] constexpr std::size_t element_bytes_min() {
  if constexpr (is_vector<T>) {
    using Element = typename T::value_type;
    if constexpr (is_strong<Element>) return sizeof(typename Element::Rep);
    else if constexpr (std::is_arithmetic_v<Element> || std::is_enum_v<Element>) return sizeof(Element);
  }
  return 1;
}

template <class T>
void Decoder::value(T& v, Versions nullable) {
  if constexpr (std::is_same_v<T, bool>) v = integer<std::int8_t>() != 0;
  else if constexpr (std::is_enum_v<T>) v = static_cast<T>(integer<std::underlying_type_t<T>>());
  else if constexpr (is_strong<T>) v = T(integer<typename T::Rep>());
  else if constexpr (std::is_integral_v<T>) v = integer<T>();
  else if constexpr (std::is_same_v<T, double>) v = std::bit_cast<double>(integer<std::uint64_t>());
  else if constexpr (std::is_same_v<T, std::string>) {
    if (const auto size = length(LengthOf::kString, 1, kNoVersions); size != kNull) string(v, size);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    for (auto& byte : v.bytes) byte = integer<std::uint8_t>();
  } else if constexpr (std::is_same_v<T, ByteView>) {
    if (const auto size = length(LengthOf::kBytes, 1, kNoVersions); size != kNull) v = take(size);
  } else if constexpr (std::is_same_v<T, Records>) {
    const auto size = length(LengthOf::kBytes, 1, nullable);
    v = size == kNull ? Records() : Records(take(size));
  } else if constexpr (is_optional<T>) {
    using Inner = typename T::value_type;
    constexpr auto what = std::is_same_v<Inner, std::string> ? LengthOf::kString
                          : is_vector<Inner>                 ? LengthOf::kArray
                                                             : LengthOf::kBytes;
    v.reset();
    const auto size = length(what, element_bytes_min<Inner>(), nullable);
    if (size == kNull) return;
    if constexpr (what == LengthOf::kString) string(v.emplace(), size);
    else if constexpr (what == LengthOf::kArray) array(v.emplace(), size);
    else v = take(size);
  } else if constexpr (is_vector<T>) {
    const auto count = length(LengthOf::kArray, element_bytes_min<T>(), kNoVersions);
    if (count != kNull) array(v, count);
  } else if constexpr (FieldStruct<T, FieldDecoder>) structure(v);
  else static_assert(always_false<T>, "not a type of Kafka's protocol");
}

}  // namespace tributary
