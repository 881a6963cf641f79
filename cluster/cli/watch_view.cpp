#include "cluster/cli/watch_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

std::string milliseconds(std::optional<std::int64_t> ms) { return ms ? fmt::format("{} ms", grouped(*ms)) : "-"; }

/// At most so many characters; a cut is shown.
std::string cut(std::string text, std::size_t columns) {
  std::size_t characters = 0, end = 0, end_of_last = 0;
  for (; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) continue;  // inside a UTF-8 sequence
    if (++characters == columns) end_of_last = end;
    if (characters > columns) return text.substr(0, end_of_last) + "…";
  }
  return text;
}

std::string flow_row(std::string_view name, const std::optional<Flow>& flow, std::string_view remark) {
  return flow ? fmt::format("  {:<10}{:>12}{:>15}   {}", name, grouped(flow->per_second), grouped(flow->total), remark)
              : fmt::format("  {:<10}{:>12}{:>15}   {}", name, "-", "-", remark);
}

std::string backlog(const WatchFrame& frame) {
  std::string text;
  if (frame.gateway) {
    text = fmt::format("gateway {} readings and {} batches", grouped(frame.gateway->unsealed_readings),
                       grouped(frame.gateway->unacked_batches));
    if (frame.gateway->flash_age_seconds > 0)
      text += fmt::format(", {:.1f} MiB on flash up to {:.0f} s old",
                          static_cast<double>(frame.gateway->flash_bytes) / (1 << 20), frame.gateway->flash_age_seconds);
    text += "; ";
  } else if (frame.gateway_expected) {
    text = "gateway does not answer; ";
  }
  return text + fmt::format("consumer {} readings", grouped(frame.consumer_lag));
}

}  // namespace

std::string grouped(std::int64_t number) {
  auto digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string sparkline(const std::deque<std::int64_t>& values) {
  static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::int64_t largest = 1;
  for (const auto value : values) largest = std::max(largest, value);
  std::string line;
  for (const auto value : values) line += kBars[std::max<std::int64_t>(0, value) * 7 / largest];
  return line;
}

std::vector<std::string> render_screen(const WatchFrame& frame, std::size_t columns) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("Tributary   topic {} at {}   {}:{:02}", frame.topic, frame.cluster, frame.seconds / 60,
                              frame.seconds % 60));
  lines.emplace_back();
  lines.push_back(fmt::format("  {:<10}{:>12}{:>15}", "readings", "per second", "so far"));
  if (frame.in || frame.gateway_expected)
    lines.push_back(flow_row("in", frame.in, "taken from MQTT by the gateway"));
  lines.push_back(flow_row("stored", frame.stored, "on the broker's disk"));
  lines.push_back(flow_row("consumed", frame.consumed, "pulled by this consumer"));
  lines.push_back("            " + sparkline(frame.history));
  lines.emplace_back();
  lines.push_back(fmt::format("  latency     p50 {}   p99 {}   max {}   device to consumer, last 10 s",
                              milliseconds(frame.p50_ms), milliseconds(frame.p99_ms), milliseconds(frame.max_ms)));
  lines.push_back("  backlog     " + backlog(frame));
  lines.emplace_back();
  lines.emplace_back("  last readings");
  for (const auto& reading : frame.last_readings) lines.push_back("    " + reading);
  if (!frame.trouble.empty()) lines.insert(lines.end(), {"", "  trouble: " + frame.trouble});
  for (auto& line : lines) line = cut(std::move(line), columns);
  return lines;
}

std::string render_line(const WatchFrame& frame) {
  std::string line = fmt::format("{:>4} s  ", frame.seconds);
  const auto flow = [&](std::string_view name, const std::optional<Flow>& value) {
    line += value ? fmt::format("{} {}/s  ", name, grouped(value->per_second)) : fmt::format("{} -  ", name);
  };
  if (frame.in || frame.gateway_expected) flow("in", frame.in);
  flow("stored", frame.stored);
  flow("consumed", frame.consumed);
  line += fmt::format("latency p50 {} p99 {}  backlog: {}", milliseconds(frame.p50_ms), milliseconds(frame.p99_ms),
                      backlog(frame));
  if (!frame.last_readings.empty()) line += "  last: " + cut(frame.last_readings.back(), 60);
  if (!frame.trouble.empty()) line += "  trouble: " + frame.trouble;
  return line;
}

std::string render_summary(const WatchFrame& frame) {
  std::string text = fmt::format("\nafter {} s\n", frame.seconds);
  const auto row = [&](std::string_view name, std::int64_t count) {
    text += fmt::format("  {:<10}{:>15} readings\n", name, grouped(count));
  };
  if (frame.in) row("in", frame.in->total);
  if (frame.stored) row("stored", frame.stored->total);
  row("consumed", frame.consumed.total);
  return text + fmt::format("  latency    p50 {}   p99 {}   max {}   device to consumer, whole run\n  backlog    {}\n",
                            milliseconds(frame.p50_ms), milliseconds(frame.p99_ms), milliseconds(frame.max_ms),
                            backlog(frame));
}

}  // namespace tributary
