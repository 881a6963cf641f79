#include "firmware-sim/recordings/csv.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

std::string object_of(const std::string& header, const std::string& row) {
  CsvParser parser;
  EXPECT_EQ(CsvParser::State::kComplete, parser.feed(header, "").value());
  const auto keys = csv_keys(parser.cells());
  EXPECT_EQ(CsvParser::State::kComplete, parser.feed(row, "").value());
  std::string out;
  if (parser.cells().size() == keys.size()) append_csv_object(keys, parser.cells(), out);
  return out;
}

TEST(Csv, NumbersStayNumbersDigitForDigit) {
  EXPECT_EQ(R"({"a":1,"b":-2.50,"c":1e5,"d":0.1})", object_of("a,b,c,d", "1,-2.50,1e5,0.1"));
}

TEST(Csv, WhatIsNoJsonNumberIsText) {
  EXPECT_EQ(R"({"a":"007","b":"+5","c":"1.","d":".5","e":"NaN","f":"0x1","g":"-"})",
            object_of("a,b,c,d,e,f,g", "007,+5,1.,.5,NaN,0x1,-"));
}

TEST(Csv, AQuotedNumberIsTextAndAnEmptyCellIsNull) {
  EXPECT_EQ(R"({"a":"5","b":null,"c":""})", object_of("a,b,c", R"("5",,"")"));
}

TEST(Csv, QuotesHoldCommasAndQuotes) {
  EXPECT_EQ(R"({"a":"x, \"y\"","b":1})", object_of("a,b", R"("x, ""y""",1)"));
}

TEST(Csv, AQuotedCellMaySpanLines) {
  CsvParser parser;
  EXPECT_EQ(CsvParser::State::kNeedsLine, parser.feed(R"(1,"first)", "").value());
  EXPECT_EQ(CsvParser::State::kNeedsLine, parser.feed("", "\r\n").value());
  EXPECT_EQ(CsvParser::State::kComplete, parser.feed(R"(last",2)", "\n").value());
  ASSERT_EQ(3u, parser.cells().size());
  EXPECT_EQ("first\r\n\nlast", parser.cells()[1].text);
}

TEST(Csv, MisplacedQuotesAreErrorsAndTheNextRowIsFine) {
  CsvParser parser;
  EXPECT_FALSE(parser.feed(R"(ab"c)", ""));
  EXPECT_FALSE(parser.feed(R"("a"b)", ""));
  EXPECT_FALSE(parser.feed(R"("a""b"c")", ""));
  EXPECT_EQ(CsvParser::State::kComplete, parser.feed("a,b", "").value());
  EXPECT_EQ(2u, parser.cells().size());
}

TEST(Csv, NonAsciiTextStaysByteForByte) {
  EXPECT_EQ("{\"ort\":\"Göteborg, 北京 \U0001F30B\"}", object_of("ort", "\"Göteborg, 北京 \U0001F30B\""));
}

TEST(Csv, ControlCharactersAreEscaped) {
  EXPECT_EQ("{\"a\":\"x\\ty\\u0001\\\\\"}", object_of("a", "x\ty\x01\\"));
}

TEST(Csv, EmptyAndRepeatedHeadersGetNamesOfTheirOwn) {
  EXPECT_EQ(R"({"a":1,"column2":2,"a_3":3})", object_of("a,, a ", "1,2,3"));
}

}  // namespace
}  // namespace tributary
