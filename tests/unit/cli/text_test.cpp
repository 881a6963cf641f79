#include "cluster/cli/text.h"

#include <gtest/gtest.h>

#include "cluster/cli/record_printer.h"
#include "cluster/cli/start_text.h"

namespace tributary {
namespace {

std::string printable(std::string_view text) {
  std::string out;
  append_printable(out, as_bytes(text));
  return out;
}

TEST(Text, WhatCouldHarmATerminalIsEscaped) {
  EXPECT_EQ(printable("plain \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"), "plain \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("a\x1b[31m\n\t\x7f"), "a\\x1b[31m\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "\\xc2\\x9b31m") << "C1 control";
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82") << "truncated";
}

TEST(Text, Utf8IsToldFromOtherBytes) {
  EXPECT_TRUE(is_utf8(as_bytes("")));
  EXPECT_TRUE(is_utf8(as_bytes("\xf4\x8f\xbf\xbf")));
  EXPECT_FALSE(is_utf8(as_bytes("\xf4\x90\x80\x80")));
  EXPECT_FALSE(is_utf8(as_bytes("a\x80")));
}

TEST(Text, Base64IsThatOfRfc4648) {
  EXPECT_EQ(base64(as_bytes("")), "");
  EXPECT_EQ(base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(base64(as_bytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(base64(as_bytes("\xff\xfe\xfd")), "//79");
}

TEST(Text, TimesGoBothWays) {
  EXPECT_EQ(format_time(1'700'000'000'123), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(-1), "-");
  EXPECT_EQ(format_time(INT64_MAX), "9223372036854775807");
  EXPECT_EQ(parse_time("2023-11-14T22:13:20.123Z").value(), 1'700'000'000'123);
  EXPECT_EQ(parse_time("2023-11-14t22:13:20z").value(), 1'700'000'000'000);
  EXPECT_EQ(parse_time("2023-11-14 23:13:20.1239+01:00").value(), 1'700'000'000'123);
  EXPECT_EQ(parse_time("2023-11-14T16:43:20-05:30").value(), 1'700'000'000'000);
  EXPECT_EQ(parse_time("2024-02-29T00:00:00Z").value(), 1'709'164'800'000);
  for (const auto* bad : {"", "2023", "2023-11-14", "2023-11-14T22:13:20", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
                          "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z", "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20Zx",
                          "2023-11-14T22:13:20+1:00", "x023-11-14T22:13:20Z"})
    EXPECT_FALSE(parse_time(bad)) << bad;
}

TEST(Start, WordsOffsetsAndTimesAreToldApart) {
  EXPECT_EQ(parse_start("earliest")->kind, StartAt::Kind::kEarliest);
  EXPECT_EQ(parse_start("latest")->kind, StartAt::Kind::kLatest);
  EXPECT_EQ(parse_start("1700000000000")->kind, StartAt::Kind::kOffset);
  EXPECT_EQ(parse_start("@1700000000000")->kind, StartAt::Kind::kTime);
  EXPECT_EQ(parse_start("@1700000000000")->value, 1'700'000'000'000);
  EXPECT_EQ(parse_start("2023-11-14T22:13:20Z")->value, 1'700'000'000'000);
  for (const auto* bad : {"", "-1", "@", "@x", "yesterday", "1.5"})
    EXPECT_FALSE(parse_start(bad)) << bad;
}

TEST(Place, IsAnEndATimeOrTheLargestTimestamp) {
  EXPECT_EQ(parse_place("earliest")->kind, StartAt::Kind::kEarliest);
  EXPECT_EQ(parse_place("latest")->kind, StartAt::Kind::kLatest);
  EXPECT_EQ(parse_place("max-timestamp")->kind, StartAt::Kind::kMaxTimestamp);
  EXPECT_EQ(parse_place("@1700000000000")->value, 1'700'000'000'000);
  EXPECT_EQ(parse_place("2023-11-14T22:13:20Z")->value, 1'700'000'000'000);
  for (const auto* bad : {"", "1700000000000", "7", "-1", "max", "yesterday"}) {
    ASSERT_FALSE(parse_place(bad)) << bad;
    EXPECT_NE(parse_place(bad).error().message.find("max-timestamp"), std::string::npos);
  }
}

TEST(RecordPrinter, NullsBytesAndHeadersHaveTheirForms) {
  const HeaderView headers[] = {{"n", as_bytes("1")}, {"null", std::nullopt}};
  RecordView record{Offset(7), 1'700'000'000'123, as_bytes("k\n"), std::nullopt, headers};
  const TopicPartition partition{"t", PartitionIndex(2)};
  std::string out;
  append_record(out, RecordFormat::kText, partition, record);
  EXPECT_EQ(out, "2023-11-14T22:13:20.123Z t-2@7 k\\x0a (null) [n=1, null=(null)]\n");
  out.clear();
  record.key = as_bytes("\xff");
  record.value = as_bytes("a\"b\\\x01");
  append_record(out, RecordFormat::kJson, partition, record);
  EXPECT_EQ(out, R"({"topic":"t","partition":2,"offset":7,"timestamp_ms":1700000000123,"key_base64":"/w==","value":"a\"b\\\u0001",)"
                 R"("headers":[{"key":"n","value":"1"},{"key":"null","value":null}]})" "\n");
  out.clear();
  append_record(out, RecordFormat::kRaw, partition, record);
  EXPECT_EQ(out, "a\"b\\\x01\n");
}

}  // namespace
}  // namespace tributary
