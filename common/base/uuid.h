#pragma once
// 16-byte ids of clusters and topics, written as Kafka writes them.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tributary {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] bool is_zero() const { return bytes == std::array<std::uint8_t, 16>{}; }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

/// A random (version 4) UUID of 128 random bits, of which six are overwritten. Its text never begins
/// with '-', which command lines would take for a flag.
[[nodiscard]] Uuid uuid_from_random(std::uint64_t high, std::uint64_t low);

/// URL-safe base64 without padding, 22 characters, as in Kafka's tools.
[[nodiscard]] std::string to_string(const Uuid& id);
/// The other way; nothing unless `text` is 22 such characters.
[[nodiscard]] std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace tributary
