#pragma once
// Shards with threads, handlers from lambdas, and a peer that speaks bytes.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <future>
#include <set>
#include <thread>

#include "common/bytes/reader.h"
#include "common/bytes/writer.h"
#include "common/env/random.h"
#include "common/protocol/payload.h"
#include "common/transport/server.h"

namespace tributary {

using namespace std::chrono_literals;

/// Waits for a condition, at most ten seconds.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

class Shards {
 public:
  explicit Shards(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      contexts_.push_back(std::make_unique<asio::io_context>(1));
      guards_.emplace_back(contexts_.back()->get_executor());
      threads_.emplace_back([context = contexts_.back().get()] { context->run(); });
    }
  }
  ~Shards() { join(); }
  void join() {
    guards_.clear();
    for (auto& context : contexts_) context->stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  std::vector<asio::io_context*> all() {
    std::vector<asio::io_context*> contexts;
    for (auto& context : contexts_) contexts.push_back(context.get());
    return contexts;
  }
  asio::io_context& at(std::size_t i) { return *contexts_[i]; }

 private:
  std::vector<std::unique_ptr<asio::io_context>> contexts_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
};

class FunctionHandler final : public RequestHandler {
 public:
  using Function = std::function<void(IncomingRequest, Responder)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  void handle(IncomingRequest request, Responder responder) override {
    function_(std::move(request), std::move(responder));
  }

 private:
  Function function_;
};

/// api key and version 0, a correlation id, a body.
inline Bytes request_frame(std::int32_t id, ByteView body) {
  Bytes frame;
  ByteWriter writer(frame);
  writer.i32(0);
  writer.i32(id);
  writer.bytes(body);
  return frame;
}
inline std::int32_t id_of(const SharedBytes& request) {
  ByteReader reader(request.view());
  reader.skip(4);
  return reader.i32();
}
/// The correlation id and the body, as views into the request.
inline Payload echo_of(const SharedBytes& request) {
  return Payload(request.sub(request.view().subspan(4)));
}
inline FunctionHandler echo_handler() {
  return FunctionHandler([](IncomingRequest request, Responder responder) {
    responder.respond(echo_of(request.frame));
  });
}
inline Bytes pattern(std::size_t size, std::uint32_t seed = 1) {
  Bytes bytes(size);
  std::uint32_t x = seed * 2654435761u + 1;
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>((x = x * 1664525u + 1013904223u) >> 24);
  return bytes;
}

/// A blocking TCP connection to loopback, with a ten second limit on each receive.
class TcpPeer {
 public:
  explicit TcpPeer(std::uint16_t port, int receive_buffer_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    const timeval limit{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  TcpPeer(TcpPeer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~TcpPeer() {
    if (socket_ >= 0) ::close(socket_);
  }
  bool send(ByteView bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }
  bool send_frame(ByteView frame) {
    Bytes framed;
    ByteWriter writer(framed);
    writer.i32(static_cast<std::int32_t>(frame.size()));
    writer.bytes(frame);
    return send(framed);
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }
  /// Fewer bytes at the end of the stream or after ten seconds.
  Bytes receive(std::size_t size) {
    Bytes bytes(size);
    std::size_t filled = 0;
    while (filled < size) {
      const auto count = ::recv(socket_, bytes.data() + filled, size - filled, 0);
      if (count <= 0) break;
      filled += static_cast<std::size_t>(count);
    }
    bytes.resize(filled);
    return bytes;
  }
  Bytes receive_frame() {
    const auto prefix = receive(4);
    if (prefix.size() < 4) return {};
    return receive(static_cast<std::size_t>(ByteReader(prefix).i32()));
  }
  /// The other side closed (or reset): nothing more to read.
  bool closed() {
    std::uint8_t byte;
    const auto count = ::recv(socket_, &byte, 1, 0);
    return count == 0 || (count < 0 && errno == ECONNRESET);
  }
  int native() const { return socket_; }

 private:
  int socket_;
};

class TemporaryFile {
 public:
  explicit TemporaryFile(ByteView content) {
    std::string name = testing::TempDir() + "tributary-transport-XXXXXX";
    const int descriptor = ::mkstemp(name.data());
    ::close(descriptor);
    path_ = name;
    file_ = posix_file_system().open(path_, OpenMode::kReadWrite).value();
    const ByteView part = content;
    EXPECT_TRUE(file_->write_at(0, {&part, 1}));
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  std::shared_ptr<File> file() { return file_; }

 private:
  std::string path_;
  std::shared_ptr<File> file_;
};

/// The same content without a descriptor, as the simulated file system gives it.
class MemoryFile final : public File {
 public:
  explicit MemoryFile(Bytes content) : content_(std::move(content)) {}
  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    const auto from = std::min<std::size_t>(position, content_.size());
    const auto count = std::min(out.size(), content_.size() - from);
    std::memcpy(out.data(), content_.data() + from, count);
    return count;
  }
  Result<> write_at(std::uint64_t, std::span<const ByteView>) override { return fail(Errc::kIo, "read only"); }
  Result<> sync_data() override { return {}; }
  Result<> truncate(std::uint64_t size) override {
    content_.resize(size);
    return {};
  }
  Result<std::uint64_t> size() const override { return content_.size(); }

 private:
  Bytes content_;
};

/// ThreadSanitizer keeps up to four bytes for each that is used.
#ifdef __SANITIZE_THREAD__
inline constexpr std::size_t kShadow = 5;
#else
inline constexpr std::size_t kShadow = 1;
#endif

/// Resident memory of this process.
inline std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  if (auto* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace tributary
