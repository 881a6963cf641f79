#include "common/telemetry/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "common/telemetry/metrics.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

class Connection {
 public:
  explicit Connection(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval timeout{10, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Connection() { ::close(descriptor_); }
  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view text) const {
    return ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// All that comes until the server closes.
  [[nodiscard]] std::string read_all() const {
    std::string all;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(descriptor_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(got));
    return all;
  }

 private:
  int descriptor_;
  bool connected_ = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpServer::Options options = {}) {
    server_ = std::make_unique<HttpServer>(
        options, metrics_, [] { return HealthReport{}; },
        [this] { return ready_ ? HealthReport{} : HealthReport{false, "not connected to the cluster"}; });
    server_->get("/echo", [](const HttpRequest& request) {
      return HttpResponse{200, "text/plain", request.query.count("x") ? request.query.find("x")->second : "none"};
    });
    const auto started = server_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  [[nodiscard]] std::string request(const std::string& text) const {
    const Connection connection(server_->port());
    connection.send(text);
    return connection.read_all();
  }
  [[nodiscard]] std::string get(const std::string& target) const {
    return request("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  MetricsRegistry metrics_;
  std::atomic<bool> ready_{true};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, HealthReadinessAndMetricsAreServed) {
  metrics_.counter("x_total", "").inc(7);
  start();
  EXPECT_NE(server_->port(), 0);
  EXPECT_NE(get("/healthz").find("200 OK"), std::string::npos);
  EXPECT_NE(get("/metrics").find("\nx_total 7\n"), std::string::npos);
  EXPECT_NE(get("/readyz").find("200 OK"), std::string::npos);
  ready_ = false;
  const auto answer = get("/readyz");
  EXPECT_NE(answer.find(" 503 "), std::string::npos) << answer;
  EXPECT_NE(answer.find("not connected to the cluster\n"), std::string::npos);
}

TEST_F(HttpServerTest, OwnHandlersSeeTheQuery) {
  start();
  const auto answer = get("/echo?x=a%20b");
  EXPECT_NE(answer.find("\r\n\r\na b"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, OtherPathsAndMethodsAreRefused) {
  start();
  EXPECT_NE(get("/nothing").find(" 404 "), std::string::npos);
  EXPECT_NE(get("/nothing").find("/metrics\n"), std::string::npos);
  EXPECT_NE(request("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").find(" 405 "),
            std::string::npos);
  const auto head = request("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(head.find("200 OK"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST_F(HttpServerTest, APortInUseIsAClearError) {
  start();
  HttpServer second({"127.0.0.1", server_->port()}, metrics_, {}, {});
  const auto result = second.start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kAlreadyExists);
  EXPECT_EQ(result.error().message,
            "http 127.0.0.1:" + std::to_string(server_->port()) + ": Address already in use");
}

TEST_F(HttpServerTest, AnAddressThatIsNotOursIsAClearError) {
  HttpServer elsewhere({"192.0.2.1", 0}, metrics_, {}, {});
  const auto result = elsewhere.start();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("http 192.0.2.1:0"), std::string::npos) << result.error().message;
}

TEST_F(HttpServerTest, GarbageDoesNotDisturbOthers) {
  start();
  (void)request(std::string("\0\xff\xfe garbage \r\n\r\n", 16));
  (void)request("GET\r\n\r\n");
  (void)request("GET /" + std::string(20000, 'a') + " HTTP/1.1\r\n\r\n");
  EXPECT_NE(get("/healthz").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, AnEndlessHeaderIsCutOff) {
  start();
  const Connection connection(server_->port());
  ASSERT_TRUE(connection.send("GET /healthz HTTP/1.1\r\n"));
  std::size_t sent = 0;
  const std::string line = "X-A: " + std::string(1000, 'a') + "\r\n";
  while (sent < (64u << 20) && connection.send(line)) sent += line.size();
  EXPECT_LT(sent, 64u << 20);
}

TEST_F(HttpServerTest, SlowSendersHoldNoThreadForLong) {
  HttpServer::Options options;
  options.io_timeout = 200ms;
  start(options);
  std::vector<std::unique_ptr<Connection>> slow;
  for (int i = 0; i < 6; ++i) {
    slow.push_back(std::make_unique<Connection>(server_->port()));
    slow.back()->send("GET /heal");
  }
  EXPECT_NE(get("/healthz").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, StoppingWithIdleConnectionsIsQuick) {
  HttpServer::Options options;
  options.io_timeout = 60s;
  start(options);
  const Connection idle(server_->port());
  ASSERT_TRUE(idle.connected());
  const auto before = std::chrono::steady_clock::now();
  server_->stop();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

}  // namespace
}  // namespace tributary
