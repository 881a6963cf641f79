// Closing a channel can hang nng 1.5 (NngLink), and then for the whole process: tests of their own.

#include <netinet/tcp.h>

#include "common/transport/client.h"
#include "common/transport/nng_server.h"
#include "tests/support/tcp_proxy.h"
#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

TEST(NngClosing, AnAnswerOnItsWayDoesNotHangIt) {
  Shards shards(1);
  auto handler = echo_handler();
  auto server = NngServer::start({.url = "tcp://127.0.0.1:0"}, shards.all(), handler).value();
  const SharedBytes frame(request_frame(1, pattern(300'000)));
  for (int round = 0; round < 300; ++round) {
    auto channel = connect_nng(server->url()).value();
    std::promise<void> first;
    std::atomic<int> completed{0};
    channel->send(Payload(frame), 10s, [&](auto) { first.set_value(); });
    first.get_future().wait();
    channel->send(Payload(frame), 10s, [&](auto) { ++completed; });
    const auto before = std::chrono::steady_clock::now();
    channel.reset();
    EXPECT_EQ(completed, 1);
    ASSERT_LT(std::chrono::steady_clock::now() - before, 1500ms) << "round " << round;
  }
  server->stop();
}

constexpr std::size_t kBodyBytes = 100;

/// Answers a request of kBodyBytes with bytes one by one and without end, so that the client's nng is nearly
/// always between two reads of one message.
class Trickler {
 public:
  Trickler() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int peer; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) trickle(peer);
    });
  }
  ~Trickler() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int started() const { return started_; }

 private:
  void trickle(int peer) {
    const int yes = 1;
    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const std::uint8_t greeting[] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};  // REP
    const std::uint8_t length[] = {0, 0, 0, 0, 4, 0, 0, 0};           // 64 MiB
    std::uint8_t request[8 + 8 + 4 + kBodyBytes];                     // greeting, length, id, body
    const auto send = [peer](const void* bytes, std::size_t size) {
      return ::send(peer, bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
    };
    if (!send(greeting, 8) || ::recv(peer, request, sizeof request, MSG_WAITALL) != sizeof request) return;
    if (send(length, 8)) ++started_;
    while (send("", 1)) {}
  }

  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> started_{0};
  std::thread thread_;
};

TEST(NngClosing, AnIdleChannelComesBackAlthoughTheClosingOfAnotherHungNng) {
  Shards shards(1);
  auto handler = echo_handler();
  auto server = NngServer::start({.url = "tcp://127.0.0.1:0"}, shards.all(), handler).value();
  test::TcpProxy line(server->port());
  auto idle = connect_nng(fmt::format("tcp://127.0.0.1:{}", line.port()), {.reconnect_min = 5ms}).value();
  const SharedBytes frame(request_frame(1, pattern(kBodyBytes - 8)));
  const auto answers = [&] {
    std::promise<bool> answered;
    idle->send(Payload(frame), 500ms, [&](const auto& result) { answered.set_value(result.has_value()); });
    return answered.get_future().get();
  };
  ASSERT_TRUE(eventually(answers));
  Trickler trickler;
  bool hung = false;
  for (int round = 1; round <= 100 && !hung; ++round) {
    auto channel = connect_nng(fmt::format("tcp://127.0.0.1:{}", trickler.port())).value();
    channel->send(Payload(frame), 60s, [](const auto&) {});
    ASSERT_TRUE(eventually([&] { return trickler.started() == round; }));
    const auto before = std::chrono::steady_clock::now();
    channel.reset();
    hung = std::chrono::steady_clock::now() - before > 1900ms;
  }
  if (!hung) GTEST_SKIP() << "this nng does not hang";
  line.cut();
  EXPECT_TRUE(eventually(answers));
}

}  // namespace
}  // namespace tributary
