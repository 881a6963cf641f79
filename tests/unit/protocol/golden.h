#pragma once
// The frames in golden/, and the rule by which their values follow from names (golden/README.md).

#include <cstdint>
#include <string>
#include <vector>

#include "common/bytes/bytes.h"
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
/// The one with all fields set that kafka-python made.
[[nodiscard]] const Frame& filled(std::string_view message, std::int16_t version);

[[nodiscard]] std::uint32_t number(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int8_t i8(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int16_t i16(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int32_t i32(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::int64_t i64(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::string text(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] std::string bytes(std::string_view name, std::uint32_t index = 0);
[[nodiscard]] Uuid uuid(std::string_view name, std::uint32_t index = 0);

}  // namespace tributary::golden
