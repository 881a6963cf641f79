#include "tests/compat/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "common/base/check.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary::test {
namespace {

using SteadyClock = std::chrono::steady_clock;

bool wait_for(int socket, short events, SteadyClock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - SteadyClock::now());
  pollfd waiting{socket, events, 0};
  return left.count() > 0 && ::poll(&waiting, 1, static_cast<int>(left.count())) > 0;
}

}  // namespace

RawConnection::RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "connecting to port {}: errno {}", port, errno);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawConnection::~RawConnection() {
  if (socket_ >= 0) ::close(socket_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), correlation_id_(other.correlation_id_) {}

bool RawConnection::send(ByteView bytes, std::chrono::milliseconds deadline) {
  const auto end = SteadyClock::now() + deadline;
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) bytes = bytes.subspan(static_cast<std::size_t>(sent));
    else if (errno != EAGAIN && errno != EINTR) return false;
    else if (!wait_for(socket_, POLLOUT, end)) return false;
  }
  return true;
}

bool RawConnection::send_frame(ByteView frame) {
  Bytes whole;
  ByteWriter writer(whole);
  writer.i32(static_cast<std::int32_t>(frame.size()));
  writer.bytes(frame);
  return send(whole);
}

std::optional<Bytes> RawConnection::read(std::size_t count, std::chrono::milliseconds deadline) {
  const auto end = SteadyClock::now() + deadline;
  Bytes bytes(count);
  std::size_t filled = 0;
  while (filled < count) {
    if (!wait_for(socket_, POLLIN, end)) return std::nullopt;
    const auto got = ::recv(socket_, bytes.data() + filled, count - filled, 0);
    if (got <= 0) return std::nullopt;
    filled += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::optional<Bytes> RawConnection::read_frame(std::chrono::milliseconds deadline) {
  const auto prefix = read(4, deadline);
  if (!prefix) return std::nullopt;
  const auto size = ByteReader(*prefix).i32();
  CHECK(size >= 0 && size < (256 << 20), "an answer of {} bytes", size);
  return read(static_cast<std::size_t>(size), deadline);
}

bool RawConnection::closed_by_peer(std::chrono::milliseconds deadline) {
  const auto end = SteadyClock::now() + deadline;
  std::uint8_t thrown_away[4096];
  while (wait_for(socket_, POLLIN, end)) {
    if (::recv(socket_, thrown_away, sizeof thrown_away, 0) <= 0) return true;
  }
  return false;
}

void RawConnection::finish_sending() { ::shutdown(socket_, SHUT_WR); }

std::size_t resident_bytes(int pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmRSS:")) continue;
    std::size_t kib = 0;
    std::istringstream(line.substr(6)) >> kib;
    return kib * 1024;
  }
  return 0;
}

}  // namespace tributary::test
