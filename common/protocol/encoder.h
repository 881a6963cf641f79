#pragma once
// The visitor that writes a message. Only the source files of messages include this.

#include <string>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/strong.h"
#include "common/bytes/writer.h"
#include "common/protocol/field.h"
#include "common/protocol/field_path.h"
#include "common/protocol/types.h"

namespace tributary {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool always_false = false;

template <class T, class Visitor>
concept FieldStruct = requires(T& value, Visitor& visitor) { T::fields(value, visitor); };

/// Writes one frame. The first error sticks; finish() reports it with the path of its field.
class Encoder {
 public:
  /// `version` and `flexible` are of the message that follows the header.
  Encoder(std::int16_t version, bool flexible) : version_(version), flexible_(flexible) {
    buffer_.reserve(kFirstPartBytes);
  }

  template <class S>
  void structure(const S& value);

  /// For headers, which have their own flexibility.
  void raw_i16(std::int16_t v) { ByteWriter(buffer_).i16(v); }
  void raw_i32(std::int32_t v) { ByteWriter(buffer_).i32(v); }
  void raw_nullable_string(const std::optional<std::string>& v);
  void raw_empty_tag_buffer() { buffer_.push_back(0); }

  /// kInvalidArgument: "<name> v<version>, field 3[0].1: <what>".
  [[nodiscard]] Result<Payload> finish(std::string_view name);

 private:
  friend class FieldEncoder;
  static constexpr std::size_t kFirstPartBytes = 256;
  enum class LengthOf { kString, kBytesOrArray };

  template <class T>
  void value(const T& v, Versions nullable);
  template <class T>
  void integer(T v);
  void string(std::string_view v);
  void bytes(ByteView v);
  void records(const Records& v, Versions nullable);
  void uuid(const Uuid& v) { ByteWriter(buffer_).bytes(v.bytes); }
  void real(double v);
  void length(std::size_t length, LengthOf what);
  void null(LengthOf what, Versions nullable);

  [[nodiscard]] bool ok() const { return error_.empty(); }
  void fail(std::string what) { error_ = std::move(what); }
  void fail_not_in_version();

  std::int16_t version_;
  bool flexible_;
  Bytes buffer_;     // what follows the last part of payload_
  Payload payload_;
  int tagged_depth_ = 0;
  std::string error_;
  FieldPath path_;
};

/// Visits the fields of one struct.
class FieldEncoder {
 public:
  /// `defaults` is a default-constructed object of the same type.
  FieldEncoder(Encoder& encoder, const void* object, const void* defaults)
      : encoder_(encoder), object_(object), defaults_(defaults) {}

  template <class T>
  void operator()(const T& field, Field spec = kAlways) {
    ++index_;
    if (!encoder_.ok()) return;
    if (!spec.versions.contains(encoder_.version_)) {
      if (!spec.is_ignorable && !has_default(field)) encoder_.fail_not_in_version();
    } else if (spec.tag < 0) {
      encoder_.value(field, spec.nullable);
    } else if (!has_default(field)) {
      tagged(field, spec);
    }
    if (!encoder_.ok()) encoder_.path_.in_field(index_);
  }

  /// The tag buffer: tags ascending, each with its size (KIP-482).
  void write_tag_buffer();

 private:
  struct Tagged {
    std::int16_t tag;
    Bytes bytes;
  };

  template <class T>
  [[nodiscard]] bool has_default(const T& field) const {
    const auto offset = reinterpret_cast<const char*>(&field) - static_cast<const char*>(object_);
    const auto& other = *reinterpret_cast<const T*>(static_cast<const char*>(defaults_) + offset);
    // A view has no ==; its default is empty or null.
    if constexpr (std::is_same_v<T, ByteView>) return field.empty();
    else if constexpr (std::is_same_v<T, std::optional<ByteView>>) return !field;
    else return field == other;
  }

  template <class T>
  void tagged(const T& field, Field spec) {
    CHECK(encoder_.flexible_, "a tagged field in version {}, which is not flexible", encoder_.version_);
    Bytes outer = std::exchange(encoder_.buffer_, Bytes{});
    ++encoder_.tagged_depth_;
    encoder_.value(field, spec.nullable);
    --encoder_.tagged_depth_;
    tagged_.push_back({spec.tag, std::exchange(encoder_.buffer_, std::move(outer))});
  }

  Encoder& encoder_;
  const void* object_;
  const void* defaults_;
  int index_ = -1;
  std::vector<Tagged> tagged_;
};

template <class S>
void Encoder::structure(const S& value) {
  static const S defaults{};
  FieldEncoder visitor(*this, &value, &defaults);
  S::fields(value, visitor);
  if (flexible_ && ok()) visitor.write_tag_buffer();
}

template <class T>
void Encoder::integer(T v) {
  ByteWriter writer(buffer_);
  if constexpr (sizeof(T) == 1) writer.i8(static_cast<std::int8_t>(v));
  else if constexpr (sizeof(T) == 2) writer.i16(static_cast<std::int16_t>(v));
  else if constexpr (sizeof(T) == 4) writer.i32(static_cast<std::int32_t>(v));
  else writer.i64(static_cast<std::int64_t>(v));
}

template <class T>
void Encoder::value(const T& v, Versions nullable) {
  if constexpr (std::is_enum_v<T>) integer(static_cast<std::underlying_type_t<T>>(v));
  else if constexpr (is_strong<T>) integer(v.value());
  else if constexpr (std::is_integral_v<T>) integer(v);
  else if constexpr (std::is_same_v<T, double>) real(v);
  else if constexpr (std::is_same_v<T, std::string>) string(v);
  else if constexpr (std::is_same_v<T, Uuid>) uuid(v);
  else if constexpr (std::is_same_v<T, ByteView>) bytes(v);
  else if constexpr (std::is_same_v<T, Records>) records(v, nullable);
  else if constexpr (is_optional<T>) {
    using Inner = typename T::value_type;
    constexpr bool is_string = std::is_same_v<Inner, std::string>;
    static_assert(is_string || std::is_same_v<Inner, ByteView> || is_vector<Inner>, "cannot be null");
    if (v) value(*v, nullable);
    else null(is_string ? LengthOf::kString : LengthOf::kBytesOrArray, nullable);
  } else if constexpr (is_vector<T>) {
    length(v.size(), LengthOf::kBytesOrArray);
    for (std::size_t i = 0; i < v.size() && ok(); ++i) {
      value(v[i], kNoVersions);
      if (!ok()) path_.in_element(i);
    }
  } else if constexpr (FieldStruct<const T, FieldEncoder>) structure(v);
  else static_assert(always_false<T>, "not a type of Kafka's protocol");
}

}  // namespace tributary
