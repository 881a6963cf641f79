#pragma once
// The frames in golden/, and the rule by which their values follow from names (golden/README.md).

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/bytes/bytes.h"
#include "common/protocol/frame.h"
#include "common/protocol/types.h"

namespace tributary::golden {

struct Frame {
  std::string file;
  std::string message;
  std::int16_t version = 0;
  std::string kind;
  Bytes bytes;

  [[nodiscard]] std::string title() const;
};

/// All frames of all files.
[[nodiscard]] const std::vector<Frame>& frames();
/// What clients sent to the broker: all frames of tests/compat/golden.
[[nodiscard]] const std::vector<Frame>& recorded_frames();
/// The one with all fields set that kafka-python made.
[[nodiscard]] const Frame& filled(std::string_view message, std::int16_t version);
/// The one with kmsg's defaults, which are null where null is allowed.
[[nodiscard]] const Frame& defaults(std::string_view message, std::int16_t version);

[[nodiscard]] std::uint32_t number(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int8_t i8(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int16_t i16(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int32_t i32(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int64_t i64(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::string text(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::string bytes(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] Uuid uuid(std::string_view name, std::uint32_t index = 0);

template <class M>
M decode(const Frame& frame) {
  Result<M> message = fail(Errc::kNotFound, "");
  if constexpr (RequestMessage<M>) {
    message = decode_request<M>(parse_request_header(frame.bytes)->body, frame.version);
  } else {
    message = decode_response<M>(frame.bytes, frame.version);
  }
  CHECK(message.has_value(), "{}: {}", frame.title(), message.error().message);
  return std::move(*message);
}
template <class M>
M decode_filled(std::int16_t version) {
  return decode<M>(filled(M::name, version));
}
template <class M>
M decode_defaults(std::int16_t version) {
  return decode<M>(defaults(M::name, version));
}

}  // namespace tributary::golden
