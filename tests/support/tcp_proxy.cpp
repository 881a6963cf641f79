#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>

#include "common/base/check.h"
#include "tests/support/network.h"

namespace tributary::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBufferedBytesMax = 1 << 20;  // one way of one connection; then reading stops

struct Chunk {
  Clock::time_point due;
  std::string bytes;
};

/// One way of a connection: what was read and is not yet written.
struct Way {
  int from = -1, to = -1;
  std::deque<Chunk> chunks;
  std::size_t buffered = 0;
  bool ended = false;      // `from` has sent its FIN
  bool forwarded = false;  // and `to` has been told
};

struct Connection {
  std::uint64_t number = 0;
  Way ways[2];
  bool broken = false;
  bool forgotten = false;
  [[nodiscard]] bool done() const { return broken || (ways[0].forwarded && ways[1].forwarded); }
};

void close_with_reset(int descriptor) {
  const linger hard{1, 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(descriptor);
}

}  // namespace

struct TcpProxy::Impl {
  const std::uint16_t target;
  const std::uint16_t port = free_port();
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::thread thread;

  mutable std::mutex mutex;
  int listener = -1;                  // all below: guarded by mutex
  std::list<Connection> connections;
  bool stopping = false, paused = false;
  std::chrono::milliseconds delay{0};
  std::uint64_t accepted = 0, bytes = 0;
  Watcher watcher;

  explicit Impl(std::uint16_t target_port) : target(target_port) {
    open_listener();
    thread = std::thread([this] { run(); });
  }

  void open_listener() {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const auto address = loopback(port);
    CHECK(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
              ::listen(listener, 64) == 0,
          "proxy on port {}: errno {}", port, errno);
  }

  void notify() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
  }

  template <class Change>
  void change(Change apply) {
    {
      const std::lock_guard lock(mutex);
      apply();
    }
    notify();
  }

  static void drop(Connection& connection) {
    close_with_reset(connection.ways[0].from);
    close_with_reset(connection.ways[0].to);
  }
  void cut_all() {
    for (auto& connection : connections) drop(connection);
    connections.clear();
  }

  void accept_one() {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = loopback(target);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close_with_reset(client);
      ::close(server);
      return;
    }
    const int yes = 1;
    for (const int descriptor : {client, server})
      ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto& connection = connections.emplace_back();
    connection.ways[0].from = connection.ways[1].to = client;
    connection.ways[0].to = connection.ways[1].from = server;
    connection.number = ++accepted;
  }

  void read_some(Connection& connection, Way& way) {
    char buffer[65536];
    const auto got = ::recv(way.from, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) {
      if (watcher && &way == &connection.ways[0]) watcher(connection.number, {buffer, static_cast<std::size_t>(got)});
      way.chunks.push_back({Clock::now() + delay, std::string(buffer, static_cast<std::size_t>(got))});
      way.buffered += static_cast<std::size_t>(got);
    } else if (got == 0) {
      way.ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
      connection.broken = true;
    }
  }

  void write_due(Connection& connection, Way& way) {
    while (!way.chunks.empty() && way.chunks.front().due <= Clock::now()) {
      auto& chunk = way.chunks.front().bytes;
      const auto sent = ::send(way.to, chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) connection.broken = true;
        return;
      }
      bytes += static_cast<std::uint64_t>(sent);
      way.buffered -= static_cast<std::size_t>(sent);
      chunk.erase(0, static_cast<std::size_t>(sent));
      if (chunk.empty()) way.chunks.pop_front();
    }
    if (way.ended && way.chunks.empty() && !way.forwarded) {
      ::shutdown(way.to, SHUT_WR);
      way.forwarded = true;
    }
  }

  /// What to wait for, and how long.
  int collect(std::vector<pollfd>& waiting) const {
    int timeout_ms = -1;
    waiting.assign(1, {wake, POLLIN, 0});
    if (listener >= 0) waiting.push_back({listener, POLLIN, 0});
    if (paused) return timeout_ms;
    for (const auto& connection : connections) {
      if (connection.forgotten) continue;
      for (const auto& way : connection.ways) {
        if (!way.ended && way.buffered < kBufferedBytesMax) waiting.push_back({way.from, POLLIN, 0});
        if (way.chunks.empty()) continue;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(way.chunks.front().due - Clock::now());
        if (left.count() <= 0) waiting.push_back({way.to, POLLOUT, 0});
        else if (timeout_ms < 0 || left.count() < timeout_ms) timeout_ms = static_cast<int>(left.count());
      }
    }
    return timeout_ms;
  }

  void run() {
    std::vector<pollfd> waiting;
    std::unique_lock lock(mutex);
    while (!stopping) {
      const int timeout_ms = collect(waiting);
      lock.unlock();
      ::poll(waiting.data(), waiting.size(), timeout_ms);
      lock.lock();
      std::uint64_t count = 0;
      [[maybe_unused]] const auto taken = ::read(wake, &count, sizeof count);
      if (listener >= 0) accept_one();
      if (paused) continue;
      for (auto connection = connections.begin(); connection != connections.end();) {
        for (auto& way : connection->ways) {
          if (connection->forgotten) break;
          if (!way.ended && !connection->broken && way.buffered < kBufferedBytesMax) read_some(*connection, way);
          if (!connection->broken) write_due(*connection, way);
        }
        if (connection->done()) {
          drop(*connection);
          connection = connections.erase(connection);
        } else {
          ++connection;
        }
      }
    }
    cut_all();
  }
};

TcpProxy::TcpProxy(std::uint16_t target_port) : impl_(std::make_unique<Impl>(target_port)) {}

TcpProxy::~TcpProxy() {
  impl_->change([&] { impl_->stopping = true; });
  impl_->thread.join();
  if (impl_->listener >= 0) ::close(impl_->listener);
  ::close(impl_->wake);
}

std::uint16_t TcpProxy::port() const { return impl_->port; }
void TcpProxy::cut() {
  impl_->change([&] { impl_->cut_all(); });
}
void TcpProxy::refuse() {
  impl_->change([&] {
    if (impl_->listener >= 0) {
      // The poll under way holds the socket open: closing alone would end the listening a moment later.
      ::shutdown(impl_->listener, SHUT_RDWR);
      ::close(std::exchange(impl_->listener, -1));
    }
    impl_->cut_all();
  });
}
void TcpProxy::listen() {
  impl_->change([&] {
    if (impl_->listener < 0) impl_->open_listener();
  });
}
void TcpProxy::pause() {
  impl_->change([&] { impl_->paused = true; });
}
void TcpProxy::resume() {
  impl_->change([&] { impl_->paused = false; });
}
void TcpProxy::forget() {
  impl_->change([&] {
    for (auto& connection : impl_->connections) connection.forgotten = true;
  });
}
void TcpProxy::set_delay(std::chrono::milliseconds delay) {
  impl_->change([&] { impl_->delay = delay; });
}
void TcpProxy::watch_clients(Watcher watcher) {
  impl_->change([&] { impl_->watcher = std::move(watcher); });
}
std::size_t TcpProxy::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections.size();
}
std::uint64_t TcpProxy::accepted_total() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->accepted;
}
std::uint64_t TcpProxy::bytes_total() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->bytes;
}

}  // namespace tributary::test
