#pragma once
// Kafka's TCP framing: a 4-byte big-endian length, then a request or response.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace asio {
class io_context;
}

namespace tributary {

class RequestHandler;

struct KafkaTcpServerOptions {
  std::string host = "0.0.0.0";  // an address or a name; IPv6 without brackets
  std::uint16_t port = 9092;     // 0: the system chooses

  /// A frame announced larger closes its connection (Kafka's socket.request.max.bytes).
  std::size_t frame_bytes_max = 100u << 20;
  std::size_t connections_max = 10'000;

  // Per connection. Over any of these, reading from it stops until answers have left.
  std::size_t requests_in_flight_max = 64;
  std::size_t request_bytes_in_flight_max = 16u << 20;  // one larger frame alone is let through
  std::size_t answer_bytes_queued_max = 16u << 20;

  /// Of all connections: what frames over 1 MiB may hold that have arrived in part. One for which nothing is
  /// left is not read until others are complete or gone. At least frame_bytes_max.
  std::size_t partial_frame_bytes_max = 256u << 20;
  /// A peer that stops for so long within a frame is closed, and one that holds of the above and neither
  /// sends nor reads.
  std::chrono::milliseconds frame_timeout = std::chrono::seconds(30);

  /// No byte moved for so long, and no request being worked on: closed (connections.max.idle.ms).
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(10);

  /// A peer that has closed its sending side still gets its answers, if they come within this time.
  std::chrono::milliseconds half_closed_timeout = std::chrono::seconds(30);

  /// Told of each connection that is closed for what its peer sent, or for a truncated file: who, what,
  /// which limit. Called on the shards' threads, as often as peers like: limit the rate.
  std::function<void(const std::string& event)> on_event;
};

/// Counted by the shards, readable from any thread. Monotonic but for connections_open.
struct KafkaTcpServerStats {
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> connections_refused{0};  // over connections_max
  std::atomic<std::uint64_t> connections_idle_closed{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> malformed{0};   // frames with an impossible or too large length
};

/// Listens, spreads connections round robin over the shards, and answers in request order. File slices
/// leave by sendfile. What a peer costs is bounded: an announced frame takes memory only as its bytes
/// arrive, all of those together are bounded, an idle connection holds no buffer, and a peer that does not read is not read from.
/// A file that turns out shorter than its slice closes the connection.
///
/// Sets SIGPIPE to ignored, unless the program has a handler for it (sendfile has no MSG_NOSIGNAL).
class KafkaTcpServer {
 public:
  /// Binds and starts to accept. Each of `shards` (not empty) is run by one thread of the caller's; they,
  /// and `handler`, must live until stop() has returned. kUnavailable "… is in use" if the port is taken,
  /// kInvalidArgument if the host cannot be resolved or is not this machine's.
  [[nodiscard]] static Result<std::unique_ptr<KafkaTcpServer>> start(
      KafkaTcpServerOptions options, std::vector<asio::io_context*> shards, RequestHandler& handler);

  /// stop().
  ~KafkaTcpServer();

  /// Closes the listener and all connections. Call from outside of the shards' threads while these still
  /// run, or after they have ended for good. When it returns, handle() is not called again and
  /// outstanding responders do nothing.
  void stop();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] const KafkaTcpServerStats& stats() const;

 private:
  struct Impl;
  explicit KafkaTcpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace tributary
