#include "tests/bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::bench {
namespace {

TEST(BenchReport, TheMedianIsTheMiddle) {
  EXPECT_EQ(2, median({9, 1, 2}));
  EXPECT_EQ(1.5, median({1, 2}));
}

TEST(BenchReport, ATargetIsMetOrNot) {
  EXPECT_TRUE((Row{.values = {0.7}, .want = Want::kAtLeast, .target = 0.7}.ok()));
  EXPECT_FALSE((Row{.values = {0.5, 0.6, 0.9}, .want = Want::kAtLeast, .target = 0.7}.ok()));
  EXPECT_TRUE((Row{.values = {0}, .want = Want::kAtMost, .target = 0}.ok()));
  EXPECT_FALSE((Row{.values = {30}, .want = Want::kBelow, .target = 30}.ok()));
  EXPECT_TRUE((Row{.values = {0.1}, .want = Want::kNothing}.ok()));
  EXPECT_FALSE((Row{.want = Want::kNothing}.ok()));
  EXPECT_FALSE((Row{.want = Want::kAtMost, .target = 1}.ok())) << "a benchmark that failed";
}

TEST(BenchReport, TheTableSaysWhatIsShortAndWhatFailed) {
  const auto text = table({{.figure = "(x)", .measured = "1", .limit = "2", .values = {0.5}, .target = 0.7},
                           {.figure = "(y)", .note = "see above"}});
  EXPECT_THAT(text, testing::HasSubstr("SHORT"));
  EXPECT_THAT(text, testing::HasSubstr("FAILED see above"));
}

TEST(BenchReport, ThousandsAreGrouped) {
  EXPECT_EQ("24,513", grouped(24513.4));
  EXPECT_EQ("-1,000", grouped(-1000));
  EXPECT_EQ("-100", grouped(-100));
  EXPECT_EQ("0", grouped(0));
}

}  // namespace
}  // namespace tributary::bench
