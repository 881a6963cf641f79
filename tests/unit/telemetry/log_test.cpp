#include "common/telemetry/log.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <thread>

#include "common/config/settings.h"
#include "common/telemetry/log_settings.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

TEST(Log, AnEventIsOneLineOfKeysAndValues) {
  EXPECT_EQ(format_log_text("uplink", "cluster unreachable",
                            {{"url", "tcp://h:1"}, {"for_s", 60}, {"ok", false}, {"ratio", 0.5},
                             {"offset", std::uint64_t{1} << 63}}),
            "uplink cluster unreachable url=tcp://h:1 for_s=60 ok=false ratio=0.5 offset=9223372036854775808");
}

TEST(Log, ValuesThatWouldBeMisreadAreQuoted) {
  EXPECT_EQ(format_log_text("a", "m", {{"k", "two words"}, {"e", ""}, {"q", "a\"b"}, {"eq", "a=b"}}),
            R"(a m k="two words" e="" q="a\"b" eq="a=b")");
}

TEST(Log, APeerCannotForgeALine) {
  EXPECT_EQ(format_log_text("a", "m\nx", {{"k", "1\n2026 error a fake\x1b[0m"}}),
            R"(a m\nx k="1\n2026 error a fake\u001b[0m")");
  EXPECT_EQ(format_log_text("a", "m", {{"k", "\xff\xfe"}}), "a m k=\"\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(format_log_text("a", "m", {{"k", "\xed\xa0\x80"}}).find('\xed'), std::string::npos);
  EXPECT_EQ(format_log_text("a", "m", {{"k", "gr\xc3\xbc\xc3\x9f"}}), "a m k=\"gr\xc3\xbc\xc3\x9f\"");
  EXPECT_LT(format_log_text("a", "m", {{"k", std::string(1 << 20, 'x')}}).size(), 3000u);
}

TEST(Log, JsonHasTypesAndEscapes) {
  EXPECT_EQ(format_log_json("a", "m \"q\"", {{"n", -5}, {"t", "x\ty"}, {"b", true},
                                             {"nan", std::numeric_limits<double>::quiet_NaN()}}),
            R"("area":"a","message":"m \"q\"","n":-5,"t":"x\ty","b":true,"nan":null)");
}

TEST(Log, LinesGoToStandardErrorFromTheLevelOn) {
  ::testing::internal::CaptureStderr();
  log_debug("a", "unseen");
  log_warning("a", "seen", {{"n", 1}});
  set_log_format(LogFormat::kJson);
  log_error("a", "json");
  set_log_format(LogFormat::kText);
  const auto lines = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines.find("unseen"), std::string::npos);
  EXPECT_NE(lines.find("Z warning a seen n=1\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find(R"(Z","level":"error","area":"a","message":"json"})"), std::string::npos) << lines;
}

TEST(Log, LevelAndFormatAreSettings) {
  LogSettings log_settings;
  Settings settings({"p", "", ""});
  log_settings.declare(settings);
  std::ostringstream out, err;
  EXPECT_EQ(settings.parse({"--log-level", "warning", "--log-format", "json"}, out, err), std::nullopt);
  log_settings.apply();
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_TRUE(log_enabled(LogLevel::kWarning));
  EXPECT_EQ(settings.parse({"--log-level", "loud"}, out, err), 2);
  LogSettings{}.apply();
  EXPECT_TRUE(log_enabled(LogLevel::kInfo));
  EXPECT_FALSE(parse_log_level("loud"));
  EXPECT_EQ(parse_log_level("warn"), LogLevel::kWarning);
}

TEST(OncePer, TheFirstIsSaidAndThenOneAnInterval) {
  FakeClock clock;
  OncePer once(1min, clock);
  EXPECT_TRUE(once.turn());
  for (int i = 0; i < 59; ++i) {
    clock.advance(1s);
    EXPECT_FALSE(once.turn());
  }
  clock.advance(1s);
  const auto turn = once.turn();
  EXPECT_TRUE(turn);
  EXPECT_EQ(turn.suppressed, 59u);
  once.reset();
  EXPECT_TRUE(once.turn());
}

TEST(OncePer, OneOfManyThreadsGetsTheTurn) {
  OncePer once(1h);
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) granted += once.turn() ? 1 : 0;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(granted.load(), 1);
}

}  // namespace
}  // namespace tributary
