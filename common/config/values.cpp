#include "common/config/values.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <algorithm>
#include <span>
#include <vector>

namespace tributary {
namespace {

struct Unit {
  std::string_view name;  // lower case
  std::uint64_t factor;
};

constexpr std::uint64_t kKi = 1024, kK = 1000;
constexpr Unit kByteUnits[] = {
    {"", 1}, {"b", 1},
    {"kib", kKi}, {"mib", kKi * kKi}, {"gib", kKi * kKi * kKi}, {"tib", kKi * kKi * kKi * kKi},
    {"kb", kK}, {"mb", kK * kK}, {"gb", kK * kK * kK}, {"tb", kK * kK * kK * kK},
    {"k", kKi}, {"m", kKi * kKi}, {"g", kKi * kKi * kKi}, {"t", kKi * kKi * kKi * kKi}};

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Unit kTimeUnits[] = {{"ns", 1}, {"us", 1000}, {"ms", 1'000'000}, {"s", kSecond},
                               {"m", 60 * kSecond}, {"h", 3600 * kSecond}, {"d", 86400 * kSecond}};

constexpr std::uint64_t factor_of(std::span<const Unit> units, std::string_view name) {
  for (const auto& unit : units)
    if (unit.name == name) return unit.factor;
  return 0;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Takes "<number>[.<fraction>][ ]<unit>" off the front of `text` and gives number * unit, exactly; false
/// if it is malformed, does not come out whole, or exceeds 64 bits.
bool take_quantity(std::string_view& text, std::span<const Unit> units, std::uint64_t& out) {
  unsigned __int128 digits = 0;
  std::uint64_t scale = 1;
  bool any = false, fraction = false;
  while (!text.empty() && (is_digit(text.front()) || (text.front() == '.' && any && !fraction))) {
    if (text.front() == '.') {
      fraction = true;
    } else {
      any = true;
      digits = digits * 10 + static_cast<unsigned>(text.front() - '0');
      if (fraction) scale *= 10;
      if (digits > UINT64_MAX || scale > 1'000'000'000'000) return false;
    }
    text.remove_prefix(1);
  }
  if (!any || (fraction && scale == 1)) return false;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::string unit;
  while (!text.empty() && std::isalpha(static_cast<unsigned char>(text.front())) && unit.size() < 4) {
    unit += lower(text.front());
    text.remove_prefix(1);
  }
  const auto factor = factor_of(units, unit);
  if (factor == 0) return false;
  const unsigned __int128 product = digits * factor;
  if (product % scale != 0 || product / scale > UINT64_MAX) return false;
  out = static_cast<std::uint64_t>(product / scale);
  return true;
}

std::string format_with(std::uint64_t value, std::initializer_list<Unit> largest_first) {
  for (const auto& unit : largest_first)
    if (value >= unit.factor && value % unit.factor == 0)
      return fmt::format("{}{}", value / unit.factor, unit.name);
  return fmt::format("{}{}", value, (largest_first.end() - 1)->name);
}

}  // namespace

Result<std::uint64_t> parse_byte_size(std::string_view text) {
  auto rest = text;
  std::uint64_t bytes = 0;
  if (!take_quantity(rest, kByteUnits, bytes) || !rest.empty())
    return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is not a byte size such as \"64MiB\"", text));
  return bytes;
}

std::string format_byte_size(std::uint64_t bytes) {
  return format_with(bytes, {{"TiB", kKi * kKi * kKi * kKi}, {"TB", kK * kK * kK * kK},
                             {"GiB", kKi * kKi * kKi}, {"GB", kK * kK * kK}, {"MiB", kKi * kKi},
                             {"MB", kK * kK}, {"KiB", kKi}, {"KB", kK}, {"B", 1}});
}

Result<Duration> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is not a duration such as \"500ms\", \"10s\" or \"7d\"", text));
  };
  if (text == "0") return Duration(0);
  auto rest = text;
  std::uint64_t total = 0;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    std::uint64_t part = 0;
    if (!take_quantity(rest, kTimeUnits, part) || part > INT64_MAX - total) return bad();
    total += part;
  }
  return Duration(static_cast<std::int64_t>(total));
}

std::string format_duration(Duration duration) {
  const auto ns = duration.count();
  if (ns == 0) return "0s";
  if (ns < 0) return fmt::format("-{}", format_duration(Duration(ns == INT64_MIN ? INT64_MAX : -ns)));
  return format_with(static_cast<std::uint64_t>(ns),
                     {{"d", 86400 * kSecond}, {"h", 3600 * kSecond}, {"m", 60 * kSecond}, {"s", kSecond},
                      {"ms", 1'000'000}, {"us", 1000}, {"ns", 1}});
}

std::string HostPort::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is not host:port such as \"127.0.0.1:9092\"", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > 512) return bad();
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return bad();
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return bad();
  }
  if (host.find_first_of(" \t\n/@") != std::string_view::npos) return bad();
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return bad();
  return HostPort{host.empty() ? "0.0.0.0" : std::string(host), port};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Damerau's restricted form: three rows suffice.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace tributary
