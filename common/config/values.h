#pragma once
// The texts that settings are written in: byte sizes, durations, host:port.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/env/clock.h"

namespace tributary {

/// "4096", "64KiB", "64 MiB", "1GB", "1.5GiB": B; KB, MB, GB, TB are powers of 1000 and KiB, MiB, GiB, TiB
/// (or K, M, G, T) of 1024. Case does not matter.
[[nodiscard]] Result<std::uint64_t> parse_byte_size(std::string_view text);
/// The shortest exact form: "64MiB", "1GB", "1001B".
[[nodiscard]] std::string format_byte_size(std::uint64_t bytes);

/// "500ms", "1s", "1.5s", "10m", "2h", "7d", "250us", "10ns", "1h30m"; "0" needs no unit, all else does.
/// Not negative.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
/// The shortest exact form: "1500ms", "10m", "7d", "0s".
[[nodiscard]] std::string format_duration(Duration duration);

/// An address to listen on or to connect to.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  /// "127.0.0.1:9092", "[::1]:9092".
  [[nodiscard]] std::string text() const;
  bool operator==(const HostPort&) const = default;
};
/// "host:port", "[ipv6]:port", ":port" (all interfaces, "0.0.0.0"). Port 0 is allowed: the system chooses.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);

/// The candidate with the smallest edit distance (Levenshtein, a swap of neighbours counts one) to `name`;
/// empty if none is near enough to be a slip of the finger.
template <class Strings>
[[nodiscard]] std::string nearest_name(std::string_view name, const Strings& candidates);
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Strings>
std::string nearest_name(std::string_view name, const Strings& candidates) {
  std::string best;
  std::size_t best_distance = name.size() / 3 + 2;  // exclusive
  for (const auto& candidate : candidates) {
    const auto distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace tributary
