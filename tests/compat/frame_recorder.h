#pragma once
// What a client sends, frame by frame: for tests/compat/golden.

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/programs.h"
#include "tests/support/tcp_proxy.h"

namespace tributary::test {

/// Of each API and version it keeps the first requests of different lengths, kKeptMax of them, each at most
/// kKeptBytesMax long; if all are longer, the shortest. Thread-safe.
class FrameRecorder {
 public:
  static constexpr std::size_t kKeptMax = 4;
  static constexpr std::size_t kKeptBytesMax = 1024;

  /// Of clients whose id begins with `client_ids`.
  explicit FrameRecorder(std::string client_ids = "") : client_ids_(std::move(client_ids)) {}

  /// Bytes of one connection, in their order: frames with their 4-byte lengths.
  void take(std::uint64_t connection, std::string_view bytes);
  /// Lines "<message> <version> sent <frame in hex>", in the order of API keys and versions.
  [[nodiscard]] std::string text() const;

 private:
  struct Kept {
    std::vector<std::string> frames;
    std::string shortest;
  };
  void take_frame(std::string_view frame);

  const std::string client_ids_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::string> partial_;                       // guarded by mutex_, like below
  std::map<std::pair<std::int16_t, std::int16_t>, Kept> kept_;         // API key, version
};

/// With $TRIBUTARY_COMPAT_RECORD a proxy stands between a client and the broker, and what the client sends is written to
/// NAME.txt in that folder when this ends. Without it the client connects to the broker.
class ClientRecording {
 public:
  /// Before the broker starts, which then tells its clients the proxy's port. Keeps what clients send whose id begins
  /// with `client_ids`.
  ClientRecording(std::string name, Broker& broker, std::string client_ids = "");
  ~ClientRecording();
  ClientRecording(const ClientRecording&) = delete;
  ClientRecording& operator=(const ClientRecording&) = delete;

  /// For the client.
  [[nodiscard]] std::string address() const;

 private:
  const std::string name_, folder_;
  const std::uint16_t broker_port_;
  FrameRecorder recorder_;
  std::optional<TcpProxy> proxy_;
};

}  // namespace tributary::test
