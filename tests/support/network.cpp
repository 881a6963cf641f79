#include "tests/support/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <sstream>

#include "common/base/check.h"
#include "common/env/random.h"

namespace tributary::test {
namespace {

constexpr std::uint16_t kFirstPort = 10000, kLastPort = 32000;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class Socket {
 public:
  Socket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    CHECK(descriptor_ >= 0, "socket: errno {}", errno);
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool connect(std::uint16_t port) const {
    const auto address = loopback(port);
    return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

 private:
  const int descriptor_;
};

/// `labels` as Prometheus writes them: a="1",b="2".
bool has_labels(const std::string& series, const std::map<std::string, std::string>& labels) {
  for (const auto& [name, value] : labels) {
    const auto wanted = name + "=\"" + value + "\"";
    const auto at = series.find(wanted);
    if (at == std::string::npos || (series[at - 1] != '{' && series[at - 1] != ',')) return false;
  }
  return true;
}

}  // namespace

std::uint16_t free_port() {
  static std::set<std::uint16_t> given;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + random_u64_from_os() % (kLastPort - kFirstPort));
    const Socket socket;
    const auto address = loopback(port);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        given.insert(port).second)
      return port;
  }
  CHECK(false, "no free port");
}

bool accepts_connections(std::uint16_t port) { return Socket().connect(port); }

std::optional<HttpAnswer> http_get(std::uint16_t port, const std::string& target,
                                   std::chrono::milliseconds timeout) {
  const Socket socket;
  const timeval limit{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!socket.connect(port)) return std::nullopt;
  const auto request = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
  std::string answer;
  char buffer[16384];
  for (ssize_t got; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  const auto body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || body == std::string::npos) return std::nullopt;
  return HttpAnswer{std::atoi(answer.c_str() + 9), answer.substr(body + 4)};
}

std::optional<double> metric_in(const std::string& text, const std::string& name,
                                const std::map<std::string, std::string>& labels) {
  std::optional<double> sum;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.rfind(' ');
    const auto series = line.substr(0, space);
    if (line.starts_with("#") || series.substr(0, series.find('{')) != name || !has_labels(series, labels))
      continue;
    sum = sum.value_or(0) + std::strtod(line.c_str() + space, nullptr);
  }
  return sum;
}

std::optional<double> metric(std::uint16_t http_port, const std::string& name,
                             const std::map<std::string, std::string>& labels) {
  const auto answer = http_get(http_port, "/metrics");
  return answer && answer->status == 200 ? metric_in(answer->body, name, labels) : std::nullopt;
}

}  // namespace tributary::test
