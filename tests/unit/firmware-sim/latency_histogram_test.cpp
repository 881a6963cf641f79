#include "firmware-sim/fleet/latency_histogram.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(LatencyHistogram, IsEmptyAtFirst) {
  LatencyHistogram histogram;
  EXPECT_EQ(0, histogram.percentile_us(0.99));
}

TEST(LatencyHistogram, APercentileIsNeverTooLowAndAtMostSevenPercentTooHigh) {
  for (std::int64_t value : {0L, 1L, 15L, 16L, 17L, 31L, 32L, 33L, 1000L, 1023L, 1024L, 65'535L, 123'456'789L}) {
    LatencyHistogram histogram;
    histogram.add(value);
    const auto shown = histogram.percentile_us(0.5);
    EXPECT_GE(shown, value);
    EXPECT_LE(static_cast<double>(shown), static_cast<double>(value) * 1.07) << value;
  }
}

TEST(LatencyHistogram, PercentilesSplitTheCount) {
  LatencyHistogram histogram;
  for (int i = 0; i < 99; ++i) histogram.add(3);
  histogram.add(12);
  EXPECT_EQ(3, histogram.percentile_us(0.5));
  EXPECT_EQ(3, histogram.percentile_us(0.99));
  EXPECT_EQ(12, histogram.percentile_us(0.991));
  EXPECT_EQ(12, histogram.percentile_us(1));
}

TEST(LatencyHistogram, WhatIsOutOfRangeIsKeptInTheLastBucket) {
  LatencyHistogram histogram;
  histogram.add(-5);
  histogram.add(INT64_MAX);
  EXPECT_EQ(2, histogram.count());
  EXPECT_EQ(0, histogram.percentile_us(0.5));
  EXPECT_GT(histogram.percentile_us(1), 1'000'000'000);
}

}  // namespace
}  // namespace tributary
