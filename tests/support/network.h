#pragma once
// Loopback ports, HTTP and Prometheus metrics, as a test needs them.

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/telemetry/scrape.h"

namespace tributary::test {

/// A loopback TCP port that nobody listens on, below the range from which the kernel takes the local ports
/// of connections (so that none of those can take it meanwhile). Not given twice by one process.
[[nodiscard]] std::uint16_t free_port();

/// 127.0.0.1 and the port.
[[nodiscard]] sockaddr_in loopback(std::uint16_t port);

/// Whether somebody accepts connections on this loopback port.
[[nodiscard]] bool accepts_connections(std::uint16_t port);

/// GET from a loopback port; nothing if there is no answer in time.
[[nodiscard]] std::optional<HttpAnswer> http_get(std::uint16_t port, const std::string& target,
                                                 std::chrono::milliseconds timeout = std::chrono::seconds(2));

/// MetricsSnapshot::value of the program whose HTTP listener is on this loopback port; nothing if it does not
/// answer.
[[nodiscard]] std::optional<double> metric(std::uint16_t http_port, const std::string& name,
                                           const std::map<std::string, std::string>& labels = {});

}  // namespace tributary::test
