#pragma once
// Reading another program's health and metrics over HTTP.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tributary {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// One GET. kUnavailable if nobody answers in time, kTooLarge above 16 MiB.
[[nodiscard]] Result<HttpAnswer> http_get(const std::string& host, std::uint16_t port, const std::string& path,
                                          std::chrono::milliseconds timeout = std::chrono::seconds(2));

/// A program's metrics at one moment (Prometheus' text format 0.0.4).
class MetricsSnapshot {
 public:
  MetricsSnapshot() = default;
  explicit MetricsSnapshot(std::string text) : text_(std::move(text)) {}

  /// The sum over the series of `name` that have all these labels; nothing if there is none. Of a
  /// histogram, ask for "<name>_count" or "<name>_sum".
  [[nodiscard]] std::optional<double> value(std::string_view name,
                                            const std::map<std::string, std::string>& labels = {}) const;

 private:
  std::string text_;
};

/// GET /metrics; kUnavailable also for an answer other than 200.
[[nodiscard]] Result<MetricsSnapshot> scrape_metrics(const std::string& host, std::uint16_t port,
                                                     std::chrono::milliseconds timeout = std::chrono::seconds(2));

}  // namespace tributary
