#include "cluster/cli/log_dump.h"

#include "common/record/batch_builder.h"
#include "tests/unit/cli/run.h"

namespace tributary {
namespace {

/// A segment file in a folder named after its partition.
class LogDumpTest : public testing::Test {
 protected:
  LogDumpTest() {
    ::mkdir((folder_ / "my-topic-3").c_str(), 0700);
    path_ = folder_ / "my-topic-3/00000000000000000100.log";
    for (int i = 0; i < 3; ++i) {
      BatchBuilder builder;
      for (int r = 0; r < 10; ++r) builder.append(1'700'000'000'000 + r, as_bytes("dev-1"), as_bytes(R"({"device":"dev-1","x":1})"));
      auto batch = builder.finish({.compression = Compression::kZstd, .producer_id = ProducerId(5), .producer_epoch = ProducerEpoch(0),
                                   .base_sequence = Sequence(10 * i)}).value();
      patch_offset_and_epoch(batch, Offset(100 + 10 * i), LeaderEpoch(4));
      starts_.push_back(content_.size());
      content_.append(as_string_view(batch));
    }
  }
  Ran dump(std::vector<std::string> flags = {}) {
    std::ofstream(path_, std::ios::binary) << content_;
    flags.insert(flags.begin(), {"log", "dump", path_});
    return run(flags);
  }
  static int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

  test::TempFolder folder_;
  std::string path_, content_;
  std::vector<std::size_t> starts_;
};

TEST_F(LogDumpTest, BatchesAreListed) {
  const auto ran = dump();
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_EQ(lines(ran.output), 3);
  EXPECT_TRUE(ran.output.starts_with("at 0 offsets 100..109 records 10 bytes ")) << ran.output;
  EXPECT_NE(ran.output.find(" zstd time 2023-11-14T22:13:20.000Z..2023-11-14T22:13:20.009Z leader epoch 4 producer 5 epoch 0 sequence 0..9 crc "),
            std::string::npos) << ran.output;
  EXPECT_NE(ran.errors.find("3 batches, 30 records"), std::string::npos) << ran.errors;
}

TEST_F(LogDumpTest, RecordsFollowTheirBatchUnderThePartitionsName) {
  const auto text = dump({"--records"});
  EXPECT_EQ(lines(text.output), 33);
  EXPECT_NE(text.output.find("  2023-11-14T22:13:20.009Z my-topic-3@129 dev-1 {\"device\":\"dev-1\",\"x\":1}\n"), std::string::npos);
  const auto json = dump({"--records", "--json"});
  EXPECT_EQ(lines(json.output), 33);
  EXPECT_NE(json.output.find(R"({"topic":"my-topic","partition":3,"offset":129,)"), std::string::npos);
}

TEST_F(LogDumpTest, ADamagedBatchIsNamedAndTheNextOnesAreRead) {
  content_[starts_[1] + 70] = static_cast<char>(content_[starts_[1] + 70] ^ 1);
  const auto ran = dump();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(lines(ran.output), 3);
  EXPECT_NE(ran.output.find("CRC-32C is "), std::string::npos) << ran.output;
  EXPECT_NE(ran.errors.find("1 faults"), std::string::npos) << ran.errors;
  EXPECT_NE(dump({"--json"}).output.find(R"("ok":false,"error":"record batch: CRC-32C is )"), std::string::npos);
}

TEST_F(LogDumpTest, ATornTailIsNamedWithItsPosition) {
  content_.resize(content_.size() - 5);
  const auto ran = dump();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find(fmt::format("at byte {}: torn batch", starts_[2])), std::string::npos) << ran.output;
  content_.resize(starts_[2] + 20);
  EXPECT_NE(dump().output.find("20 bytes, a header has 61"), std::string::npos);
}

TEST_F(LogDumpTest, OffsetsThatGoBackAreAFault) {
  content_ += content_.substr(0, starts_[1]);
  const auto ran = dump();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("offset 100 comes again or out of order, 130 was next"), std::string::npos) << ran.output;
}

TEST_F(LogDumpTest, GarbageIsRefusedWithoutTakingItsWordForALength) {
  content_.assign(100'000, '\x7f');
  EXPECT_EQ(dump().exit_code, 1);
  content_.assign(100'000, '\0');
  EXPECT_EQ(dump().exit_code, 1);
}

TEST_F(LogDumpTest, AnEmptySegmentIsSound) {
  content_.clear();
  EXPECT_EQ(dump().exit_code, 0);
}

TEST_F(LogDumpTest, AMissingFileOrAFolderIsSaid) {
  EXPECT_NE(run({"log", "dump", folder_ / "none.log"}).errors.find("No such file"), std::string::npos);
  const auto ran = run({"log", "dump", folder_.path()});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.errors.find("is a folder"), std::string::npos) << ran.errors;
}

}  // namespace
}  // namespace tributary
