#include "common/telemetry/scrape.h"

#include <gtest/gtest.h>

#include "common/telemetry/http_server.h"
#include "common/telemetry/metrics.h"

namespace tributary {
namespace {

TEST(Scrape, SeriesAreChosenByLabelsAndAdded) {
  const MetricsSnapshot snapshot(
      "# HELP in_total x\n# TYPE in_total counter\nin_total{topic=\"a\",kind=\"b\"} 3\n"
      "in_total{topic=\"c\"} 4\nin_total_other 100\nup 1\nlast 1e3");
  EXPECT_EQ(snapshot.value("in_total"), 7.0);
  EXPECT_EQ(snapshot.value("in_total", {{"topic", "a"}}), 3.0);
  EXPECT_EQ(snapshot.value("in_total", {{"topic", "a"}, {"kind", "b"}}), 3.0);
  EXPECT_EQ(snapshot.value("in_total", {{"opic", "a"}}), std::nullopt);
  EXPECT_EQ(snapshot.value("up"), 1.0);
  EXPECT_EQ(snapshot.value("last"), 1000.0);
  EXPECT_EQ(snapshot.value("down"), std::nullopt);
  EXPECT_EQ(MetricsSnapshot().value("up"), std::nullopt);
}

TEST(Scrape, AProgramsMetricsAreReadOverHttp) {
  MetricsRegistry metrics;
  metrics.counter("x_total", "").inc(5);
  HttpServer server({}, metrics, {}, [] { return HealthReport{false, "not yet"}; });
  ASSERT_TRUE(server.start());
  const auto snapshot = scrape_metrics("127.0.0.1", server.port());
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(snapshot->value("x_total"), 5.0);
  const auto ready = http_get("127.0.0.1", server.port(), "/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 503);
  EXPECT_EQ(ready->body, "not yet\n");
  const auto port = server.port();
  server.stop();
  EXPECT_EQ(scrape_metrics("127.0.0.1", port).error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace tributary
