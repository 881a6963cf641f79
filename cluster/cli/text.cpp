#include "cluster/cli/text.h"

#include <array>
#include <charconv>
#include <chrono>
#include <fmt/format.h>

namespace tributary {
namespace {

constexpr WallMs kYear10000 = 253'402'300'800'000;

/// The length of the well-formed UTF-8 sequence at the front (RFC 3629, no surrogates, no overlong
/// forms), or 0.
std::size_t utf8_length(ByteView bytes) {
  const auto continuation = [&](std::size_t at, std::uint8_t low = 0x80, std::uint8_t high = 0xbf) {
    return at < bytes.size() && bytes[at] >= low && bytes[at] <= high;
  };
  const auto first = bytes[0];
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continuation(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const std::uint8_t low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return continuation(1, low, high) && continuation(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const std::uint8_t low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return continuation(1, low, high) && continuation(2) && continuation(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void append_printable(std::string& out, ByteView bytes) {
  while (!bytes.empty()) {
    const auto length = utf8_length(bytes);
    // 0xc2 0x80 to 0x9f are control characters too (C1).
    const bool control = bytes[0] < 0x20 || bytes[0] == 0x7f ||
                         (length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0);
    const auto shown = length > 0 && !control ? length : 1;
    if (length > 0 && !control) out.append(as_string_view(bytes.first(length)));
    else fmt::format_to(std::back_inserter(out), "\\x{:02x}", bytes[0]);
    bytes = bytes.subspan(shown);
  }
}

bool is_utf8(ByteView bytes) {
  while (!bytes.empty()) {
    const auto length = utf8_length(bytes);
    if (length == 0) return false;
    bytes = bytes.subspan(length);
  }
  return true;
}

void append_json_string(std::string& out, std::string_view utf8) {
  out += '"';
  for (const char c : utf8) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        else out += c;
    }
  }
  out += '"';
}

std::string base64(ByteView bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? bytes[at + i] : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= count ? kAlphabet[(group >> (18 - 6 * i)) & 63] : '=';
  }
  return out;
}

std::string format_time(WallMs wall_ms) {
  if (wall_ms < 0) return "-";
  if (wall_ms >= kYear10000) return std::to_string(wall_ms);
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(wall_ms)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

namespace {

/// Takes fixed-width numbers and single characters from the front of a text; an error sticks.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  int number(std::size_t digits) {
    int value = 0;
    ok = ok && rest.size() >= digits;
    for (std::size_t i = 0; ok && i < digits; ++i) {
      ok = rest[i] >= '0' && rest[i] <= '9';
      value = value * 10 + (rest[i] - '0');
    }
    if (ok) rest.remove_prefix(digits);
    return ok ? value : 0;
  }
  void expect(std::string_view any_of) {
    ok = ok && !rest.empty() && any_of.find(rest.front()) != std::string_view::npos;
    if (ok) rest.remove_prefix(1);
  }
};

int fraction_ms(Scanner& scan) {
  if (!scan.ok || !scan.rest.starts_with('.')) return 0;
  scan.rest.remove_prefix(1);
  int ms = 0, digits = 0;
  while (!scan.rest.empty() && scan.rest.front() >= '0' && scan.rest.front() <= '9') {
    if (digits < 3) ms = ms * 10 + (scan.rest.front() - '0');
    ++digits;
    scan.rest.remove_prefix(1);
  }
  scan.ok = digits > 0;
  for (; digits < 3; ++digits) ms *= 10;
  return ms;
}

/// Minutes east of UTC.
int zone_minutes(Scanner& scan) {
  if (scan.ok && (scan.rest == "Z" || scan.rest == "z")) {
    scan.rest = {};
    return 0;
  }
  const int sign = scan.rest.starts_with('-') ? -1 : 1;
  scan.expect("+-");
  const int hours = scan.number(2);
  scan.expect(":");
  const int minutes = scan.number(2);
  scan.ok = scan.ok && hours < 24 && minutes < 60;
  return sign * (hours * 60 + minutes);
}

}  // namespace

Result<WallMs> parse_time(std::string_view text) {
  using namespace std::chrono;
  Scanner scan{text};
  const int y = scan.number(4);
  scan.expect("-");
  const int m = scan.number(2);
  scan.expect("-");
  const int d = scan.number(2);
  scan.expect("Tt ");
  const int hour = scan.number(2);
  scan.expect(":");
  const int minute = scan.number(2);
  scan.expect(":");
  const int second = scan.number(2);
  const int ms = fraction_ms(scan);
  const int zone = zone_minutes(scan);
  const year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!scan.ok || !scan.rest.empty() || !date.ok() || hour > 23 || minute > 59 || second > 60)
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is no time such as 2026-07-01T12:00:00Z or 2026-07-01T14:00:00.5+02:00", text));
  const auto time = sys_days(date) + hours(hour) + minutes(minute - zone) + seconds(second) + milliseconds(ms);
  return duration_cast<milliseconds>(time.time_since_epoch()).count();
}

}  // namespace tributary
