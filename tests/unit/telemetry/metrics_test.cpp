#include "common/telemetry/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace tributary {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, AllKindsAreSerialisedInPrometheusFormat) {
  MetricsRegistry registry;
  registry.counter("tributary_in_total", "Readings in", {{"topic", "a"}}).inc(3);
  registry.counter("tributary_in_total", "Readings in", {{"topic", "b\"\n"}}).inc();
  registry.gauge("tributary_backlog_bytes", "Waiting").set(1.5);
  auto& flush = registry.histogram("tributary_flush_seconds", "Flushes", {0.1, 1});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) flush.observe(value);
  registry.callback("tributary_asked", "Asked", [] { return 42.0; });
  const auto text = registry.serialize();
  for (const auto* line :
       {"# HELP tributary_in_total Readings in", "# TYPE tributary_in_total counter",
        "tributary_in_total{topic=\"a\"} 3", "tributary_in_total{topic=\"b\\\"\\n\"} 1",
        "# TYPE tributary_backlog_bytes gauge", "tributary_backlog_bytes 1.5",
        "# TYPE tributary_flush_seconds histogram", "tributary_flush_seconds_count 4",
        "tributary_flush_seconds_bucket{le=\"+Inf\"} 4", "tributary_flush_seconds_bucket{le=\"1\"} 3",
        "tributary_asked 42"})
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  MetricsRegistry registry;
  EXPECT_EQ(&registry.counter("x_total", "", {{"a", "1"}}), &registry.counter("x_total", "", {{"a", "1"}}));
  EXPECT_NE(&registry.counter("x_total", "", {{"a", "1"}}), &registry.counter("x_total", "", {{"a", "2"}}));
}

TEST(Metrics, CountsFromManyThreadsAddUp) {
  MetricsRegistry registry;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      auto& counter = registry.counter("x_total", "");
      auto& histogram = registry.histogram("h", "", {1});
      for (int j = 0; j < 10000; ++j) {
        counter.inc();
        histogram.observe(j % 2 == 0 ? 0.5 : 2);
        if (j % 1000 == 0) (void)registry.serialize();
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(registry.counter("x_total", "").value(), 40000u);
  const auto& histogram = registry.histogram("h", "", {1});
  EXPECT_EQ(histogram.count(), 40000u);
  EXPECT_EQ(histogram.bucket(0), 20000u);
  EXPECT_EQ(histogram.sum(), 50000.0);
}

TEST(Metrics, QuantilesAreInterpolatedInsideTheirBucket) {
  Histogram histogram({1, 2, 4});
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (int i = 0; i < 50; ++i) histogram.observe(0.5);
  for (int i = 0; i < 50; ++i) histogram.observe(3);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.25), 0.5);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.75), 3);
  histogram.observe(100);
  EXPECT_DOUBLE_EQ(histogram.quantile(1), 4) << "beyond the last bound nothing is known";
  EXPECT_NEAR(latency_buckets_seconds().back(), 13.1, 0.1);
}

TEST(Metrics, TheProcessTellsItsMemoryAndVersion) {
  MetricsRegistry registry;
  registry.add_process_metrics("tributary-broker", "1.2.3");
  const auto text = registry.serialize();
  EXPECT_TRUE(has_line(text, "tributary_build_info{program=\"tributary-broker\",version=\"1.2.3\"} 1")) << text;
  EXPECT_NE(text.find("\nprocess_resident_memory_bytes "), std::string::npos);
  EXPECT_EQ(text.find("process_open_fds 0\n"), std::string::npos);
}

TEST(MetricsDeathTest, ABadNameOrASecondKindIsABug) {
  MetricsRegistry registry;
  registry.counter("x_total", "");
  EXPECT_DEATH(registry.gauge("x_total", ""), "two kinds");
  EXPECT_DEATH(registry.counter("no spaces", ""), "metric name");
}

}  // namespace
}  // namespace tributary
