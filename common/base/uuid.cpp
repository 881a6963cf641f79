#include "common/base/uuid.h"

namespace tributary {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextSize = 22;  // 128 bits in digits of 6, the last of which has 2

}  // namespace

Uuid uuid_from_random(std::uint64_t high, std::uint64_t low) {
  Uuid id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  if (id.bytes[0] >> 2 == 62) id.bytes[0] ^= 0x80;  // the digit '-'
  return id;
}

std::string to_string(const Uuid& id) {
  std::string text;
  text.reserve(kTextSize);
  unsigned bits = 0;
  unsigned held = 0;
  for (const auto byte : id.bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 6; bits -= 6) text.push_back(kAlphabet[(held >> (bits - 6)) & 63]);
  }
  text.push_back(kAlphabet[(held << (6 - bits)) & 63]);
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  Uuid id;
  std::size_t filled = 0;
  unsigned bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    held = (held << 6) | static_cast<unsigned>(digit);
    bits += 6;
    if (bits >= 8 && filled < id.bytes.size()) {
      bits -= 8;
      id.bytes[filled++] = static_cast<std::uint8_t>(held >> bits);
    }
  }
  if ((held & 0xf) != 0) return std::nullopt;  // the last digit's unused bits: one text per id
  return id;
}

}  // namespace tributary
