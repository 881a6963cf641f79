#include "common/telemetry/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cmath>

namespace tributary {
namespace {

constexpr std::size_t kTextBytesMax = 2000;  // of one value or message

std::atomic<LogFormat> log_format{LogFormat::kText};

constexpr auto kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr auto kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::logger& logger() {
  // Never destroyed: threads may log while the process ends.
  static auto& instance = *new std::shared_ptr<spdlog::logger>([] {
    auto made = std::make_shared<spdlog::logger>("tributary", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    made->set_pattern(kTextPattern, spdlog::pattern_time_type::utc);
    made->set_error_handler([](const std::string&) {});  // standard error is gone: nowhere to say so
    return made;
  }());
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    default: return spdlog::level::err;
  }
}

/// The length of the UTF-8 sequence at the front of `text`; 0 if it is not one (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 && lead <= 0xf4 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length == 0 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) >= 0xa0) || (lead == 0xf0 && at(1) < 0x90) ||
      (lead == 0xf4 && at(1) >= 0x90))
    return 0;
  return length;
}

/// Control characters and quotes escaped as in JSON, bad UTF-8 replaced, long text cut: what a peer sends
/// cannot forge a line.
void append_escaped(std::string& out, std::string_view text) {
  const bool cut = text.size() > kTextBytesMax;
  text = text.substr(0, kTextBytesMax);
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const char c = text.front();
    if (length == 0) out += "\xef\xbf\xbd";
    else if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    else out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (cut) out += "\xe2\x80\xa6";  // …
}

bool needs_quotes(std::string_view text) {
  return text.empty() || text.size() > kTextBytesMax ||
         std::any_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '=' || c == '\\' ||
                  static_cast<unsigned char>(c) >= 0x7f;
         });
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

void append_value(std::string& out, const LogValue& value, bool json) {
  if (const auto* text = std::get_if<std::string_view>(&value.value())) {
    if (json || needs_quotes(*text)) append_quoted(out, *text);
    else out += *text;
  } else if (const auto* yes = std::get_if<bool>(&value.value())) {
    out += *yes ? "true" : "false";
  } else if (const auto* number = std::get_if<double>(&value.value())) {
    if (json && !std::isfinite(*number)) out += "null";
    else fmt::format_to(std::back_inserter(out), "{}", *number);
  } else if (const auto* whole = std::get_if<std::int64_t>(&value.value())) {
    fmt::format_to(std::back_inserter(out), "{}", *whole);
  } else {
    fmt::format_to(std::back_inserter(out), "{}", std::get<std::uint64_t>(value.value()));
  }
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view name) {
  constexpr std::pair<std::string_view, LogLevel> kLevels[] = {
      {"trace", LogLevel::kTrace}, {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo},
      {"warning", LogLevel::kWarning}, {"warn", LogLevel::kWarning}, {"error", LogLevel::kError},
      {"off", LogLevel::kOff}};
  for (const auto& [known, level] : kLevels)
    if (known == name) return level;
  return fail(Errc::kInvalidArgument,
              fmt::format("\"{}\" is not one of trace, debug, info, warning, error, off", name));
}

Result<LogFormat> parse_log_format(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is not one of text, json", name));
}

void set_log_format(LogFormat format) {
  log_format.store(format, std::memory_order_relaxed);
  logger().set_pattern(format == LogFormat::kJson ? kJsonPattern : kTextPattern,
                       spdlog::pattern_time_type::utc);
}

std::string format_log_text(std::string_view area, std::string_view message, LogFields fields) {
  std::string line(area);
  line += ' ';
  append_escaped(line, message);
  for (const auto& [key, value] : fields) {
    ((line += ' ') += key) += '=';
    append_value(line, value, false);
  }
  return line;
}

std::string format_log_json(std::string_view area, std::string_view message, LogFields fields) {
  std::string line = "\"area\":";
  append_quoted(line, area);
  line += ",\"message\":";
  append_quoted(line, message);
  for (const auto& [key, value] : fields) {
    line += ',';
    append_quoted(line, key);
    line += ':';
    append_value(line, value, true);
  }
  return line;
}

void detail::write_log(LogLevel level, std::string_view area, std::string_view message, LogFields fields) {
  const auto line = log_format.load(std::memory_order_relaxed) == LogFormat::kJson
                        ? format_log_json(area, message, fields)
                        : format_log_text(area, message, fields);
  logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

OncePer::Turn OncePer::turn() {
  const auto now_ns = clock_.mono_now().time_since_epoch().count();
  auto next_ns = next_ns_.load(std::memory_order_relaxed);
  while (now_ns >= next_ns) {
    if (next_ns_.compare_exchange_weak(next_ns, now_ns + interval_ns_, std::memory_order_relaxed))
      return {true, suppressed_.exchange(0, std::memory_order_relaxed)};
  }
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

}  // namespace tributary
