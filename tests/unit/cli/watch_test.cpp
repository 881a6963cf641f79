#include <gtest/gtest.h>

#include "cluster/cli/latency_window.h"
#include "cluster/cli/watch_view.h"

namespace tributary {
namespace {

TEST(LatencyWindow, QuantilesAreExactInMilliseconds) {
  LatencyWindow window;
  EXPECT_EQ(window.recent(0.5), std::nullopt);
  for (int ms = 1; ms <= 100; ++ms) window.add(ms);
  EXPECT_EQ(window.recent(0.5), 50);
  EXPECT_EQ(window.recent(0.99), 99);
  EXPECT_EQ(window.recent(1), 100);
}

TEST(LatencyWindow, WhatIsOldLeavesTheWindowAndStaysInTheWhole) {
  LatencyWindow window;
  window.add(500);
  for (std::size_t i = 0; i + 1 < LatencyWindow::kSeconds; ++i) window.next_second();
  EXPECT_EQ(window.recent(1), 500);
  window.next_second();
  EXPECT_EQ(window.recent(1), std::nullopt);
  EXPECT_EQ(window.overall(1), 500);
}

TEST(LatencyWindow, SkewedClocksAndVeryLateReadingsStayInBounds) {
  LatencyWindow window;
  window.add(-5);
  window.add(INT64_MAX);
  EXPECT_EQ(window.overall(0.1), 0);
  EXPECT_EQ(window.overall(1), LatencyWindow::kLatencyMsMax);
}

TEST(LatencyWindow, ABusySecondIsSampledInTheWindowAndCountedInTheWhole) {
  LatencyWindow window;
  for (int i = 0; i < 1'000'000; ++i) window.add(7);
  for (std::size_t i = 0; i < LatencyWindow::kSeconds; ++i) window.next_second();
  EXPECT_EQ(window.recent(0.5), std::nullopt);
  EXPECT_EQ(window.overall(0.5), 7);
}

WatchFrame example() {
  WatchFrame frame;
  frame.topic = "readings";
  frame.cluster = "tcp://127.0.0.1:9093";
  frame.seconds = 75;
  frame.in = Flow{2000, 150'000};
  frame.stored = Flow{2001, 149'990};
  frame.consumed = Flow{1999, 149'980};
  frame.p50_ms = 4;
  frame.p99_ms = 12;
  frame.max_ms = 1500;
  frame.gateway = WatchFrame::GatewayBacklog{12, 3, 0, 0};
  frame.gateway_expected = true;
  frame.last_readings = {"10:22:01.123  {\"device\":\"dev-0007\",\"größe\":1}"};
  frame.history = {0, 1000, 2000};
  return frame;
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

TEST(WatchView, TheScreenHasEveryNumberAndNoLineIsTooWide) {
  std::string all;
  for (const auto& line : render_screen(example(), 200)) all += line + "\n";
  for (const auto* part : {"readings at tcp://127.0.0.1:9093   1:15", "in               2,000        150,000",
                           "p50 4 ms   p99 12 ms   max 1,500 ms", "gateway 12 readings and 3 batches; consumer 0",
                           "▁▄█", "dev-0007"})
    EXPECT_NE(all.find(part), std::string::npos) << part << "\n" << all;
  for (const auto& line : render_screen(example(), 30)) EXPECT_LE(characters(line), 30u) << line;
}

TEST(WatchView, ALineAndASummarySayTheSame) {
  auto frame = example();
  EXPECT_TRUE(render_line(frame).starts_with(
      "  75 s  in 2,000/s  stored 2,001/s  consumed 1,999/s  latency p50 4 ms p99 12 ms  backlog: gateway 12 readings "
      "and 3 batches; consumer 0 readings  last: "))
      << render_line(frame);
  EXPECT_NE(render_summary(frame).find("consumed          149,980 readings"), std::string::npos)
      << render_summary(frame);
  frame.gateway.reset();
  frame.trouble = "broker away";
  EXPECT_NE(render_line(frame).find("gateway does not answer"), std::string::npos);
  EXPECT_TRUE(render_line(frame).ends_with("trouble: broker away"));
}

TEST(WatchView, NumbersAreGrouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace tributary
