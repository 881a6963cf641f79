#include "firmware-sim/recordings/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/env/random.h"

namespace tributary {
namespace {

class RecordingTest : public testing::Test {
 protected:
  RecordingTest() {
    char pattern[] = "/tmp/tributary-recording-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~RecordingTest() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& content) {
    const auto path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  Result<std::unique_ptr<Recording>> open(const std::string& path, std::size_t record_bytes_max = 1024 * 1024) {
    said_.clear();
    RecordingOptions options;
    options.record_bytes_max = record_bytes_max;
    options.on_malformed = [this](const std::string& what) { said_.push_back(what); };
    return Recording::open(path, options);
  }
  static std::string next(Recording& recording) {
    std::string out;
    const auto appended = recording.append_next(out);
    return appended ? out : "error: " + appended.error().message;
  }
  static std::string shipped(const std::string& name) {
    const char* source = std::getenv("TRIBUTARY_SOURCE");
    return std::string(source == nullptr ? "." : source) + "/firmware-sim/recordings/data/" + name;
  }

  std::string folder_;
  std::vector<std::string> said_;
};

TEST_F(RecordingTest, CsvRowsBecomeObjectsAndStartAgainAtTheEnd) {
  auto recording = open(file("r.csv", "t,v\r\nx,1\r\ny,2"));
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_EQ(RecordingFormat::kCsv, (*recording)->format());
  for (int pass = 0; pass < 3; ++pass) {
    EXPECT_EQ(R"({"t":"x","v":1})", next(**recording));
    EXPECT_EQ(pass, (*recording)->passes());
    EXPECT_EQ(R"({"t":"y","v":2})", next(**recording));
  }
  EXPECT_TRUE(said_.empty());
}

TEST_F(RecordingTest, NdjsonLinesStayByteForByte) {
  const std::string line = "{\"ort\": \"Göteborg\", \"n\":1.0e+2,\"u\":\"\\u00e5\",  \"x\":[1, {}]}";
  auto recording = open(file("r.ndjson", "\n" + line + "\r\n  {\"b\":2}  \n\n"));
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_EQ(line, next(**recording));
  EXPECT_EQ("{\"b\":2}", next(**recording));
  EXPECT_EQ(line, next(**recording));
}

TEST_F(RecordingTest, TheFormatOfAnUnknownNameIsFoundFromTheContent) {
  EXPECT_EQ(RecordingFormat::kNdjson, (*open(file("a.data", " {\"a\":1}\n")))->format());
  EXPECT_EQ(RecordingFormat::kCsv, (*open(file("b.data", "a\n1\n")))->format());
  EXPECT_EQ(RecordingFormat::kCsv, (*open(file("c.csv", "{a}\n1\n")))->format());
}

TEST_F(RecordingTest, MalformedLinesAreCountedSaidWithFileAndLineAndSkipped) {
  const auto path = file("r.ndjson", "{\"a\":1}\n{\"a\":\n[1]\n7\n{\"a\":\"\xff\"}\n{\"a\":2}\n{} x\n");
  auto recording = open(path);
  ASSERT_TRUE(recording);
  EXPECT_EQ("{\"a\":1}", next(**recording));
  EXPECT_EQ("{\"a\":2}", next(**recording));
  EXPECT_EQ("{\"a\":1}", next(**recording));
  EXPECT_EQ("{\"a\":2}", next(**recording));
  EXPECT_EQ(5, (*recording)->malformed());
  ASSERT_EQ(5u, said_.size());
  EXPECT_THAT(said_[0], testing::StartsWith(path + ":2: "));
  EXPECT_THAT(said_[1], testing::HasSubstr(":3: not a JSON object"));
  EXPECT_THAT(said_[3], testing::HasSubstr(":5: "));
  EXPECT_THAT(said_[4], testing::HasSubstr(":7: "));
}

TEST_F(RecordingTest, MalformedRowsAreSaidByTheirLine) {
  const auto path = file("r.csv", "a,b\n1,2\n3\n\"x\ny\",4\n5,6,7\n8,\"9\"0\n\xff,1\n\"open,1\n2,3\n");
  auto recording = open(path);
  ASSERT_TRUE(recording);
  EXPECT_EQ(R"({"a":1,"b":2})", next(**recording));
  EXPECT_EQ(R"({"a":"x\ny","b":4})", next(**recording));
  EXPECT_EQ(R"({"a":1,"b":2})", next(**recording));
  EXPECT_THAT(said_, testing::ElementsAre(testing::HasSubstr(":3: 1 cells, the header has 2"),
                                          testing::HasSubstr(":6: 3 cells"),
                                          testing::HasSubstr(":7: text after a closing quote"),
                                          testing::HasSubstr(":8: not UTF-8"),
                                          testing::HasSubstr(":9: a quoted cell that never ends")));
}

TEST_F(RecordingTest, FilesWithoutARecordAreRefused) {
  for (const auto& [name, content] : std::map<std::string, std::string>{
           {"empty.csv", ""}, {"empty.ndjson", ""}, {"blank.ndjson", "\n \n"}, {"header.csv", "a,b\n"},
           {"bad.ndjson", "[1]\n{\n"}, {"rows.csv", "a,b\n1\n"}, {"quote.csv", "\"a\nb\n"},
           {"binary.csv", std::string("\xff\xfe\x00", 3)}, {"mark.csv", "\xef\xbb\xbf"}}) {
    const auto opened = open(file(name, content));
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(Errc::kInvalidArgument, opened.error().code) << name;
    EXPECT_THAT(opened.error().message, testing::HasSubstr(name));
  }
}

TEST_F(RecordingTest, AMissingFileAndAFolderAreNamed) {
  EXPECT_EQ(Errc::kNotFound, open(folder_ + "/none.csv").error().code);
  EXPECT_THAT(open(folder_).error().message, testing::HasSubstr("a folder"));
}

TEST_F(RecordingTest, TheByteOrderMarkIsSkipped) {
  EXPECT_EQ(R"({"a":1})", next(**open(file("r.csv", "\xef\xbb\xbf" "a\n1\n"))));
  EXPECT_EQ(R"({"a":1})", next(**open(file("r.ndjson", "\xef\xbb\xbf{\"a\":1}\n"))));
}

TEST_F(RecordingTest, ARecordOverTheLimitIsSkippedWithoutBeingHeld) {
  auto recording = open(file("r.ndjson", "{\"a\":\"" + std::string(500'000, 'x') + "\"}\n{\"a\":1}\n"), 1000);
  ASSERT_TRUE(recording);
  EXPECT_EQ("{\"a\":1}", next(**recording));
  EXPECT_EQ(1, (*recording)->malformed());
  auto rows = open(file("r.csv", "a\n\"" + std::string(400, 'x') + "\n" + std::string(400, 'y') + "\n" +
                                     std::string(400, 'z') + "\"\n1\n"), 1000);
  ASSERT_TRUE(rows) << rows.error().message;
}

TEST_F(RecordingTest, AFileThatIsEmptiedWhileReplayedEndsInAnError) {
  const auto path = file("r.csv", "a\n1\n");
  auto recording = open(path);
  ASSERT_TRUE(recording);
  EXPECT_EQ(R"({"a":1})", next(**recording));
  std::ofstream(path, std::ios::trunc).flush();
  EXPECT_THAT(next(**recording), testing::StartsWith("error: "));
}

TEST_F(RecordingTest, GarbageNeverCrashesAndGivesOnlyJson) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  constexpr std::string_view kAlphabet = "{}[]\":,\n\r\n\"a1.\xc3\xa5\xff\\ e-";
  for (int round = 0; round < 400; ++round) {
    std::string content = round % 2 == 0 ? "a,b\n1,2\n" : "{\"a\":1}\n";
    for (auto n = random.below(300); n > 0; --n) content += kAlphabet[random.below(kAlphabet.size())];
    auto recording = open(file(round % 2 == 0 ? "r.csv" : "r.ndjson", content), 100);
    ASSERT_TRUE(recording) << recording.error().message;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(nlohmann::json::accept(next(**recording))) << content;
  }
}

TEST_F(RecordingTest, TheShippedExtractsReplayWhole) {
  auto weather = open(shipped("seattle-weather-hourly-normals.csv"));
  ASSERT_TRUE(weather) << weather.error().message;
  EXPECT_EQ(R"({"date":"2010-01-01T01:00:00","pressure":1016.6,"temperature":4.0,"wind":3.8})", next(**weather));
  auto quakes = open(shipped("earthquakes.ndjson"));
  ASSERT_TRUE(quakes) << quakes.error().message;
  int records = 0;
  while ((*quakes)->passes() == 0) {
    ASSERT_TRUE(nlohmann::json::accept(next(**quakes)));
    ++records;
  }
  EXPECT_EQ(19, records);
  EXPECT_EQ(0, (*quakes)->malformed());
}

}  // namespace
}  // namespace tributary
