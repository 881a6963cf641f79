#include "cluster/groups/partition_of.h"

#include <cstdlib>
#include <limits>

#include "common/base/check.h"

namespace tributary {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd;

/// Takes one code point off the front.
std::uint32_t next_code_point(std::string_view& text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  std::size_t length = 1;
  std::uint32_t code = lead;
  std::uint32_t smallest = 0;
  if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4, code = lead & 0x07u, smallest = 0x10000;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3, code = lead & 0x0fu, smallest = 0x800;
  } else if (lead >= 0xc2 && lead < 0xe0) {
    length = 2, code = lead & 0x1fu, smallest = 0x80;
  } else if (lead >= 0x80) {
    code = kReplacement;
  }
  bool good = length <= text.size();
  for (std::size_t i = 1; good && i < length; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    good = (byte & 0xc0) == 0x80;
    code = (code << 6) | (byte & 0x3fu);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (!good || code < smallest || surrogate || code > 0x10ffff) {
    code = kReplacement;
    length = 1;
  }
  text.remove_prefix(length);
  return code;
}

}  // namespace

std::int32_t java_string_hash(std::string_view utf8) {
  std::uint32_t hash = 0;
  while (!utf8.empty()) {
    const auto code = next_code_point(utf8);
    if (code < 0x10000) {
      hash = 31 * hash + code;
    } else {
      hash = 31 * hash + (0xd800 + ((code - 0x10000) >> 10));
      hash = 31 * hash + (0xdc00 + ((code - 0x10000) & 0x3ff));
    }
  }
  return static_cast<std::int32_t>(hash);
}

std::int32_t offsets_partition_of(std::string_view group_id, std::int32_t partitions) {
  CHECK(partitions > 0, "{} partitions", partitions);
  const auto hash = java_string_hash(group_id);
  return (hash == std::numeric_limits<std::int32_t>::min() ? 0 : std::abs(hash)) % partitions;
}

}  // namespace tributary
