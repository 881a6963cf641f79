#include "firmware-sim/device/reading.h"

#include <fmt/format.h>

namespace tributary {
namespace {

constexpr std::string_view kPlaceholder = "{device}";
constexpr std::string_view kPadField = R"(,"pad":"")";
constexpr std::size_t kTopicBytesMax = 65'535;

}  // namespace

void build_reading(std::string_view device, std::int64_t seq, WallMs ts_ms, std::string_view values_json,
                   std::size_t payload_bytes, std::string& out) {
  out.clear();
  fmt::format_to(std::back_inserter(out), R"({{"device":"{}","seq":{},"ts":{},"values":)", device, seq, ts_ms);
  out += values_json;
  if (const auto bare = out.size() + 1; bare + kPadField.size() <= payload_bytes) {
    out.append(kPadField.substr(0, kPadField.size() - 1));
    out.append(payload_bytes - bare - kPadField.size(), 'x');
    out += '"';
  }
  out += '}';
}

Result<> check_device_prefix(std::string_view prefix) {
  for (const char c : prefix)
    if (c < ' ' || c > '~' || std::string_view("+#/\"\\").find(c) != std::string_view::npos)
      return fail(Errc::kInvalidArgument,
                  fmt::format("device prefix '{}': expected printable ASCII without + # / \" and \\", prefix));
  return {};
}

std::string device_name(std::string_view prefix, std::size_t number) {
  return fmt::format("{}{:04}", prefix, number);
}

Result<std::string> topic_of(std::string_view pattern, std::string_view device) {
  if (pattern.find(kPlaceholder) == std::string_view::npos)
    return fail(Errc::kInvalidArgument,
                fmt::format("topic '{}' lacks {{device}}: all devices would publish to one topic", pattern));
  if (pattern.find_first_of(std::string_view("+#\0", 3)) != std::string_view::npos)
    return fail(Errc::kInvalidArgument,
                fmt::format("topic '{}': '+', '#' and NUL are not allowed where one publishes", pattern));
  std::string topic;
  for (std::size_t at = 0; at < pattern.size();) {
    const auto next = pattern.find(kPlaceholder, at);
    topic += pattern.substr(at, next - at);
    if (next == std::string_view::npos) break;
    topic += device;
    at = next + kPlaceholder.size();
  }
  if (topic.size() > kTopicBytesMax)
    return fail(Errc::kInvalidArgument, fmt::format("topic of {} bytes, at most {}", topic.size(), kTopicBytesMax));
  return topic;
}

}  // namespace tributary
