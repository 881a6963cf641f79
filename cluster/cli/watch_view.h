#pragma once
// What `tributary watch` shows, as text: a screen that is redrawn in place, a line a second, a summary.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

struct Flow {
  std::int64_t per_second = 0;
  std::int64_t total = 0;  // since the watch began
};

struct WatchFrame {
  std::string topic;
  std::string cluster;
  std::int64_t seconds = 0;         // since the watch began
  std::optional<Flow> in;           // the gateway's; nothing without one, or while it does not answer
  std::optional<Flow> stored;       // nothing before the topic exists
  Flow consumed;
  std::optional<std::int64_t> p50_ms, p99_ms, max_ms;
  struct GatewayBacklog {
    std::int64_t unsealed_readings = 0;
    std::int64_t unacked_batches = 0;  // on tmpfs or under way
    std::int64_t flash_bytes = 0;
    double flash_age_seconds = 0;      // of the oldest reading on flash; 0: none
    [[nodiscard]] bool empty() const { return unsealed_readings + unacked_batches == 0 && flash_age_seconds == 0; }
  };
  std::optional<GatewayBacklog> gateway;  // nothing while it does not answer
  std::int64_t consumer_lag = 0;    // records on the broker that have not been consumed
  std::deque<std::string> last_readings;
  std::deque<std::int64_t> history; // consumed per second, oldest first
  std::string trouble;              // empty: none
  bool gateway_expected = false;
};

/// The lines of a screen of so many columns, without escape sequences (colours are the caller's), none longer.
[[nodiscard]] std::vector<std::string> render_screen(const WatchFrame& frame, std::size_t columns);
/// One line without newline.
[[nodiscard]] std::string render_line(const WatchFrame& frame);
/// Lines with newlines; latencies are those of the whole run.
[[nodiscard]] std::string render_summary(const WatchFrame& frame);

/// One bar a value, the largest full: "▁▃█".
[[nodiscard]] std::string sparkline(const std::deque<std::int64_t>& values);
/// "1,234,567".
[[nodiscard]] std::string grouped(std::int64_t number);

}  // namespace tributary
