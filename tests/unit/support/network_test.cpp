#include "tests/support/network.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "common/telemetry/http_server.h"
#include "common/telemetry/metrics.h"
#include "tests/support/tcp_proxy.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

class TcpProxyTest : public ::testing::Test {
 protected:
  TcpProxyTest() : server_({"127.0.0.1", 0}, metrics_, {}, {}) {
    metrics_.counter("x_total", "").inc(5);
    EXPECT_TRUE(server_.start());
    proxy_.emplace(server_.port());
  }
  [[nodiscard]] std::optional<double> value() const { return metric(proxy_->port(), "x_total"); }

  MetricsRegistry metrics_;
  HttpServer server_;
  std::optional<TcpProxy> proxy_;
};

TEST_F(TcpProxyTest, BytesPassBothWays) {
  EXPECT_EQ(value(), 5.0);
  EXPECT_EQ(proxy_->accepted_total(), 1u);
  EXPECT_GT(proxy_->bytes_total(), 50u);
}

TEST_F(TcpProxyTest, AWatcherSeesWhatClientsSend) {
  std::mutex mutex;
  std::map<std::uint64_t, std::string> sent;
  proxy_->watch_clients([&](std::uint64_t connection, std::string_view bytes) {
    const std::lock_guard lock(mutex);
    sent[connection] += bytes;
  });
  EXPECT_EQ(value(), 5.0);
  EXPECT_EQ(value(), 5.0);
  proxy_->watch_clients({});
  ASSERT_EQ(sent.size(), 2u);
  for (const auto& [connection, bytes] : sent) {
    EXPECT_TRUE(bytes.starts_with("GET /metrics ")) << bytes;
    EXPECT_TRUE(bytes.ends_with("\r\n\r\n")) << bytes;
  }
}

TEST_F(TcpProxyTest, RefusingEndsWithListening) {
  proxy_->refuse();
  EXPECT_FALSE(accepts_connections(proxy_->port()));
  EXPECT_EQ(value(), std::nullopt);
  proxy_->listen();
  EXPECT_EQ(value(), 5.0);
}

TEST_F(TcpProxyTest, APausedLineIsSilentAndAResumedOneIsNot) {
  proxy_->pause();
  EXPECT_EQ(http_get(proxy_->port(), "/healthz", 100ms), std::nullopt);
  proxy_->resume();
  EXPECT_EQ(value(), 5.0);
}

TEST_F(TcpProxyTest, DelayedBytesComeLater) {
  proxy_->set_delay(60ms);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(value(), 5.0);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 120ms);
}

TEST_F(TcpProxyTest, CuttingLeavesNewConnectionsAlone) {
  proxy_->cut();
  EXPECT_EQ(value(), 5.0);
}

TEST(FreePort, NobodyListensThere) {
  const auto port = free_port();
  EXPECT_FALSE(accepts_connections(port));
  EXPECT_NE(free_port(), port);
}

}  // namespace
}  // namespace tributary::test
