#pragma once
// Structured logs: one line an event, on standard error. Never a payload, never a secret.
//
//   text  2026-07-01T12:00:00.123Z warning uplink cluster unreachable url=tcp://10.0.0.1:9093 for_s=60
//   json  {"time":"2026-07-01T12:00:00.123Z","level":"warning","area":"uplink",
//          "message":"cluster unreachable","url":"tcp://10.0.0.1:9093","for_s":60}

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
#include "common/base/strong.h"
#include "common/env/clock.h"

namespace tributary {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kText, kJson };

/// "trace", "debug", "info", "warning" (or "warn"), "error", "off".
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view name);
/// "text" or "json".
[[nodiscard]] Result<LogFormat> parse_log_format(std::string_view name);

/// A field's value. Text is viewed, not copied: it need only live until the log call returns.
class LogValue {
 public:
  LogValue(std::string_view text) : value_(text) {}            // NOLINT: implicit on purpose
  LogValue(const std::string& text) : value_(std::string_view(text)) {}
  LogValue(const char* text) : value_(std::string_view(text)) {}
  LogValue(bool yes) : value_(yes) {}
  LogValue(std::floating_point auto number) : value_(static_cast<double>(number)) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  LogValue(T number)
      : value_(std::unsigned_integral<T> ? decltype(value_)(static_cast<std::uint64_t>(number))
                                         : decltype(value_)(static_cast<std::int64_t>(number))) {}
  template <class Tag, class Rep>
  LogValue(Strong<Tag, Rep> id) : LogValue(id.value()) {}

  using Variant = std::variant<std::string_view, bool, double, std::int64_t, std::uint64_t>;
  [[nodiscard]] const Variant& value() const { return value_; }

 private:
  Variant value_;
};

struct LogField {
  std::string_view key;  // snake_case, units last: for_s, size_bytes
  LogValue value;
};
using LogFields = std::initializer_list<LogField>;

namespace detail {
inline std::atomic<LogLevel> log_threshold{LogLevel::kInfo};
void write_log(LogLevel level, std::string_view area, std::string_view message, LogFields fields);
}  // namespace detail

/// Below this level nothing is written. Thread-safe. Default: info, text.
inline void set_log_level(LogLevel level) { detail::log_threshold.store(level, std::memory_order_relaxed); }
/// Call before other threads log.
void set_log_format(LogFormat format);
[[nodiscard]] inline bool log_enabled(LogLevel level) {
  return level >= detail::log_threshold.load(std::memory_order_relaxed);
}

/// Thread-safe; written when it returns. `area` is a folder's or a part's name: "uplink", "storage".
inline void log(LogLevel level, std::string_view area, std::string_view message, LogFields fields = {}) {
  if (log_enabled(level)) detail::write_log(level, area, message, fields);
}
inline void log_trace(std::string_view area, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kTrace, area, message, fields);
}
inline void log_debug(std::string_view area, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kDebug, area, message, fields);
}
inline void log_info(std::string_view area, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kInfo, area, message, fields);
}
inline void log_warning(std::string_view area, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kWarning, area, message, fields);
}
inline void log_error(std::string_view area, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kError, area, message, fields);
}

/// The line (without newline, without time and level) that a log call writes; for tests and sinks.
[[nodiscard]] std::string format_log_text(std::string_view area, std::string_view message, LogFields fields);
/// The same as the members of a JSON object, without the braces. Text that is not UTF-8 is kept readable:
/// bad bytes become U+FFFD.
[[nodiscard]] std::string format_log_json(std::string_view area, std::string_view message, LogFields fields);

/// "Say so once a minute, not once a second":
///
///   if (auto turn = unreachable_.turn()) log_warning("uplink", "…", {{"unsaid", turn.suppressed}});
///
/// The first turn is granted at once. Thread-safe, lock-free.
class OncePer {
 public:
  explicit OncePer(Duration interval, const Clock& clock = system_clock())
      : interval_ns_(interval.count()), clock_(clock) {}

  struct Turn {
    bool granted = false;
    std::uint64_t suppressed = 0;  // turns refused since the last one that was granted
    explicit operator bool() const { return granted; }
  };
  [[nodiscard]] Turn turn();
  /// The next turn is granted at once: call it when the trouble is over, so that its return is said.
  void reset() { next_ns_.store(INT64_MIN, std::memory_order_relaxed); }

 private:
  const std::int64_t interval_ns_;
  const Clock& clock_;
  std::atomic<std::int64_t> next_ns_{INT64_MIN};
  std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace tributary
