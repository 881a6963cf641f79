#include "firmware-sim/ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace tributary {
namespace {

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    char pattern[] = "/tmp/tributary-ledger-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~LedgerTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return folder_ + "/ledger.db"; }

  [[nodiscard]] Result<std::unique_ptr<LedgerWriter>> create() const {
    return LedgerWriter::create(path(), meta_, {{1, "dev-0001", "sensors/dev-0001/env"},
                                                {2, "dev-0002", "sensors/dev-0002/env"}});
  }
  static LedgerEntry entry(std::int64_t seq) {
    return {.seq = seq, .published_ms = 1'700'000'000'000 + seq, .acked_ms = 1'700'000'000'002 + seq,
            .payload_crc32c = 0xffffffffu - static_cast<std::uint32_t>(seq), .payload_bytes = 180,
            .resent = seq % 3 == 0};
  }
  void execute(const std::string& sql) const {
    sqlite3* raw = nullptr;
    ASSERT_EQ(SQLITE_OK, sqlite3_open(path().c_str(), &raw));
    ASSERT_EQ(SQLITE_OK, sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr)) << sqlite3_errmsg(raw);
    sqlite3_close(raw);
  }

  LedgerMeta meta_{.seed = 0xfedcba9876543210ull, .topic_pattern = "sensors/{device}/env", .qos = 1,
                   .created_ms = 1'700'000'000'000};
  std::string folder_;
};

TEST_F(LedgerTest, WhatWasRecordedIsReadBackInSeqOrderPerDevice) {
  auto writer = create();
  ASSERT_TRUE(writer) << writer.error().message;
  for (std::int64_t seq : {3, 1, 2}) (*writer)->record(2, entry(seq));
  (*writer)->record(1, entry(7));
  ASSERT_TRUE((*writer)->close());

  auto reader = LedgerReader::open(path());
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(meta_.seed, (*reader)->meta().seed);
  EXPECT_EQ("sensors/{device}/env", (*reader)->meta().topic_pattern);
  EXPECT_EQ(1, (*reader)->meta().qos);
  ASSERT_EQ(2u, (*reader)->devices().size());
  EXPECT_EQ("dev-0002", (*reader)->devices()[1].name);
  EXPECT_EQ("sensors/dev-0002/env", (*reader)->find_device("dev-0002")->topic);
  EXPECT_EQ(nullptr, (*reader)->find_device("dev-0003"));
  EXPECT_EQ(4, (*reader)->count().value());
  EXPECT_EQ(3, (*reader)->count(2).value());

  std::vector<LedgerEntry> entries;
  ASSERT_TRUE((*reader)->for_each(2, [&](const LedgerEntry& e) { entries.push_back(e); return true; }));
  EXPECT_EQ((std::vector{entry(1), entry(2), entry(3)}), entries);
  EXPECT_EQ(entry(7), (*reader)->find(1, 7).value());
  EXPECT_EQ(std::nullopt, (*reader)->find(1, 6).value());
}

TEST_F(LedgerTest, AClosedLedgerIsOneFile) {
  auto writer = create();
  ASSERT_TRUE(writer);
  (*writer)->record(1, entry(1));
  ASSERT_TRUE((*writer)->close());
  EXPECT_EQ(1, std::distance(std::filesystem::directory_iterator(folder_), {}));
}

TEST_F(LedgerTest, AReaderSeesCommittedRowsWhileTheWriterRuns) {
  auto writer = create();
  ASSERT_TRUE(writer);
  (*writer)->record(1, entry(1));
  auto reader = LedgerReader::open(path());
  ASSERT_TRUE(reader) << reader.error().message;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while ((*reader)->count().value() < 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(1, (*reader)->count().value());
  (*writer)->record(1, entry(2));
  ASSERT_TRUE((*writer)->close());
  EXPECT_EQ(2, (*reader)->count().value());
}

TEST_F(LedgerTest, AKilledWriterLeavesAWholeLedgerWithAPrefixOfEachDevice) {
  constexpr std::int64_t kRows = 60'000;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto writer = create();
    if (!writer) _exit(1);
    for (std::int64_t seq = 1; seq <= kRows; ++seq) (*writer)->record(1 + seq % 2, entry(seq));
    // Dies when the reader finds rows: at once, with rows still queued.
    for (;;) {
      auto reader = LedgerReader::open(path());
      if (reader && (*reader)->count().value_or(0) > 0) break;
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFSIGNALED(status));

  auto reader = LedgerReader::open(path());
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_GT((*reader)->count().value(), 0);
  for (std::int64_t device : {1, 2}) {
    std::int64_t expected = device == 1 ? 2 : 1;
    ASSERT_TRUE((*reader)->for_each(device, [&](const LedgerEntry& e) {
      EXPECT_EQ(entry(expected), e);
      expected += 2;
      return true;
    }));
  }
}

TEST_F(LedgerTest, AnExistingFileIsRefusedAndLeftAlone) {
  std::ofstream(path()) << "mine";
  auto writer = create();
  ASSERT_FALSE(writer);
  EXPECT_EQ(Errc::kAlreadyExists, writer.error().code);
  EXPECT_THAT(writer.error().message, testing::HasSubstr(path()));
  EXPECT_EQ(4u, std::filesystem::file_size(path()));
}

TEST_F(LedgerTest, AFolderThatDoesNotExistIsNamed) {
  auto writer = LedgerWriter::create(folder_ + "/none/ledger.db", meta_, {});
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().message, testing::HasSubstr("/none/ledger.db"));
}

TEST_F(LedgerTest, AMissingFileIsNotFound) {
  EXPECT_EQ(Errc::kNotFound, LedgerReader::open(path()).error().code);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(LedgerTest, GarbageIsCorrupt) {
  std::ofstream(path()) << std::string(8192, 'x');
  auto reader = LedgerReader::open(path());
  ASSERT_FALSE(reader);
  EXPECT_EQ(Errc::kCorrupt, reader.error().code);
  EXPECT_THAT(reader.error().message, testing::HasSubstr("not a ledger"));
}

TEST_F(LedgerTest, AnotherFormatIsUnsupported) {
  ASSERT_TRUE((*create())->close());
  execute("UPDATE meta SET value = '2' WHERE key = 'format'");
  EXPECT_EQ(Errc::kUnsupported, LedgerReader::open(path()).error().code);
}

TEST_F(LedgerTest, TheSameSeqTwiceIsReportedAndNotHidden) {
  auto writer = create();
  ASSERT_TRUE(writer);
  (*writer)->record(1, entry(1));
  (*writer)->record(1, entry(1));
  auto closed = (*writer)->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(Errc::kAlreadyExists, closed.error().code);
  EXPECT_TRUE((*writer)->error());
}

TEST_F(LedgerTest, ARowTakesUnderFortyBytes) {
  auto writer = create();
  ASSERT_TRUE(writer);
  constexpr std::int64_t kRows = 200'000;
  for (std::int64_t seq = 1; seq <= kRows; ++seq) (*writer)->record(1 + seq % 2, entry(seq));
  ASSERT_TRUE((*writer)->close());
  EXPECT_LT(std::filesystem::file_size(path()), 40u * kRows);
}

}  // namespace
}  // namespace tributary
