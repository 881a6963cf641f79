#pragma once
// A loopback TCP proxy that breaks connections on demand.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace tributary::test {

/// Listens on port() and forwards to `target_port`, on a thread of its own. All members are thread-safe and
/// have taken effect when they return.
class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t target_port);
  ~TcpProxy();

  [[nodiscard]] std::uint16_t port() const;
  /// Resets all connections, both sides; new ones are taken.
  void cut();
  /// Resets all connections and stops listening: connecting is refused, as when the host is up and the
  /// program is not.
  void refuse();
  /// Ends refuse().
  void listen();
  /// Connections stay, and new ones are taken, but no byte moves: a dead line.
  void pause();
  void resume();
  /// The connections of now stay open, both sides, and carry nothing any more, as when a NAT forgets them;
  /// new ones are served.
  void forget();
  /// Each byte arrives this much later, both ways.
  void set_delay(std::chrono::milliseconds delay);

  /// Each piece that a client sends, with the number of its connection, on the proxy's thread.
  using Watcher = std::function<void(std::uint64_t connection, std::string_view bytes)>;
  void watch_clients(Watcher watcher);

  [[nodiscard]] std::size_t connections() const;       // open now
  [[nodiscard]] std::uint64_t accepted_total() const;
  [[nodiscard]] std::uint64_t bytes_total() const;      // forwarded, both ways

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::test
