#include "tests/support/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "common/base/check.h"
#include "common/env/random.h"

namespace tributary::test {
namespace {

constexpr std::uint16_t kFirstPort = 10000, kLastPort = 32000;

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

}  // namespace

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

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
  auto answer = tributary::http_get("127.0.0.1", port, target, timeout);
  return answer ? std::optional(*std::move(answer)) : std::nullopt;
}

std::optional<double> metric(std::uint16_t http_port, const std::string& name,
                             const std::map<std::string, std::string>& labels) {
  const auto snapshot = scrape_metrics("127.0.0.1", http_port);
  return snapshot ? snapshot->value(name, labels) : std::nullopt;
}

}  // namespace tributary::test
