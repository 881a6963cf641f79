#include "common/telemetry/scrape.h"

#include <fmt/format.h>
#include <httplib.h>

#include <cstdlib>

namespace tributary {
namespace {

constexpr std::size_t kBodyBytesMax = 16u << 20;

/// `series` is name{a="1",b="2"}; values are compared as they are written, escapes and all.
bool has_labels(std::string_view series, const std::map<std::string, std::string>& labels) {
  for (const auto& [name, value] : labels) {
    const auto wanted = fmt::format("{}=\"{}\"", name, value);
    const auto at = series.find(wanted);
    if (at == std::string_view::npos || at == 0 || (series[at - 1] != '{' && series[at - 1] != ',')) return false;
  }
  return true;
}

}  // namespace

Result<HttpAnswer> http_get(const std::string& host, std::uint16_t port, const std::string& path,
                            std::chrono::milliseconds timeout) {
  httplib::Client client(host, port);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  HttpAnswer answer;
  bool too_large = false;
  const auto result = client.Get(
      path,
      [&](const httplib::Response& response) {
        answer.status = response.status;
        return true;
      },
      [&](const char* bytes, std::size_t size) {
        too_large = answer.body.size() + size > kBodyBytesMax;
        if (!too_large) answer.body.append(bytes, size);
        return !too_large;
      });
  const auto what = fmt::format("http://{}:{}{}", host, port, path);
  if (too_large) return fail(Errc::kTooLarge, fmt::format("{}: more than {} bytes", what, kBodyBytesMax));
  if (!result) return fail(Errc::kUnavailable, fmt::format("{}: {}", what, httplib::to_string(result.error())));
  return answer;
}

std::optional<double> MetricsSnapshot::value(std::string_view name,
                                             const std::map<std::string, std::string>& labels) const {
  std::optional<double> sum;
  std::string_view rest = text_;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() == name.size()) continue;
    const char next = line[name.size()];
    const auto space = line.rfind(' ');
    if ((next != '{' && next != ' ') || space == std::string_view::npos || !has_labels(line.substr(0, space), labels))
      continue;
    sum = sum.value_or(0) + std::strtod(std::string(line.substr(space + 1)).c_str(), nullptr);
  }
  return sum;
}

Result<MetricsSnapshot> scrape_metrics(const std::string& host, std::uint16_t port,
                                       std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(auto answer, http_get(host, port, "/metrics", timeout));
  if (answer.status != 200)
    return fail(Errc::kUnavailable, fmt::format("http://{}:{}/metrics: status {}", host, port, answer.status));
  return MetricsSnapshot(std::move(answer.body));
}

}  // namespace tributary
