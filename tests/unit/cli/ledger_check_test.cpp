#include "cluster/cli/ledger_check.h"

#include <gtest/gtest.h>

#include "common/bytes/crc32c.h"
#include "firmware-sim/ledger/ledger.h"
#include "tests/support/temp_folder.h"

namespace tributary {
namespace {

std::string reading(const std::string& device, std::int64_t seq, const std::string& extra = "1") {
  return fmt::format(R"({{"device":"{}","seq":{},"ts":1700000000000,"values":{{"x":{}}}}})", device, seq, extra);
}

/// A ledger of two devices, and a log that a test writes record by record.
class LedgerCheckTest : public testing::Test {
 protected:
  void ledger_of(std::int64_t count, std::int64_t resent_from = INT64_MAX) {
    auto writer = LedgerWriter::create(folder_ / "ledger.db", {.topic_pattern = "sensors/{device}/env"},
                                       {{1, "dev-1", "sensors/dev-1/env"}, {2, "dev-2", "sensors/dev-2/env"}});
    ASSERT_TRUE(writer) << writer.error().message;
    for (const auto device : {1, 2})
      for (std::int64_t seq = 1; seq <= count; ++seq) {
        const auto text = reading(fmt::format("dev-{}", device), seq);
        (*writer)->record(device, {seq, 1000 + seq, 2000 + seq, crc32c(as_bytes(text)),
                                   static_cast<std::uint32_t>(text.size()), seq >= resent_from});
      }
    ASSERT_TRUE((*writer)->close());
    ledger_ = LedgerReader::open(folder_ / "ledger.db").value();
    check_ = LedgerCheck::create(*ledger_, 2).value();
  }
  void see(int device, std::int64_t seq, const std::string& extra = "1") {
    see_bytes(reading(fmt::format("dev-{}", device), seq, extra));
  }
  void see_bytes(const std::string& value) {
    ASSERT_TRUE(check_->observe({"t", PartitionIndex(0)}, Offset(next_offset_++), as_bytes(value)));
  }
  void see_range(int device, std::int64_t from, std::int64_t to) {
    for (auto seq = from; seq <= to; ++seq) see(device, seq);
  }
  LedgerReport finish() { return check_->finish().value(); }

  test::TempFolder folder_;
  std::unique_ptr<LedgerReader> ledger_;
  std::unique_ptr<LedgerCheck> check_;
  std::int64_t next_offset_ = 0;
};

TEST_F(LedgerCheckTest, AWholeLogHasNoFaults) {
  ledger_of(5000);
  for (std::int64_t seq = 1; seq <= 5000; ++seq) {
    see(1, seq);
    see(2, seq);
  }
  const auto report = finish();
  EXPECT_EQ(report.faults(), 0);
  EXPECT_EQ(report.acknowledged, 10'000);
  EXPECT_EQ(report.records, 10'000);
  EXPECT_EQ(report.devices, 2);
  EXPECT_TRUE(report.offenders.empty());
}

TEST_F(LedgerCheckTest, MissingReadingsAreCountedAndTheFirstAreNamed) {
  ledger_of(10);
  see_range(1, 1, 10);
  see_range(2, 4, 9);
  const auto report = finish();
  EXPECT_EQ(report.missing, 4);
  EXPECT_EQ(report.faults(), 4);
  ASSERT_EQ(report.offenders.size(), 2u);
  EXPECT_EQ(report.offenders[0].device, "dev-2");
  EXPECT_EQ(report.offenders[0].seq, 1);
  EXPECT_EQ(report.offenders[0].detail, "acknowledged at 1970-01-01T00:00:02.001Z");
}

TEST_F(LedgerCheckTest, ADoubledReadingIsNotAlsoOutOfOrder) {
  ledger_of(10);
  see_range(1, 1, 10);
  see(1, 3);
  see(1, 10);
  see_range(2, 1, 10);
  const auto report = finish();
  EXPECT_EQ(report.doubled, 2);
  EXPECT_EQ(report.faults(), 2);
  EXPECT_EQ(report.offenders[0].detail, "again at t-0@10");
}

TEST_F(LedgerCheckTest, WhatTheDeviceItselfSentAgainIsNoFaultWhenDoubled) {
  ledger_of(10, 8);
  see_range(1, 1, 10);
  see_range(1, 8, 10);
  see_range(2, 1, 10);
  const auto report = finish();
  EXPECT_EQ(report.doubled_by_mqtt, 3);
  EXPECT_EQ(report.faults(), 0);
}

TEST_F(LedgerCheckTest, ALateReadingIsOutOfOrderOnce) {
  ledger_of(10);
  for (const auto seq : {1, 2, 5, 3, 4, 6, 7, 8, 9, 10}) see(1, seq);
  see_range(2, 1, 10);
  const auto report = finish();
  EXPECT_EQ(report.out_of_order, 2);
  EXPECT_EQ(report.faults(), 2);
  EXPECT_EQ(report.offenders[0].detail, "at t-0@3, after seq 5");
}

TEST_F(LedgerCheckTest, OtherBytesAreFoundThoughTheReadingIsThere) {
  ledger_of(3);
  see(1, 1);
  see(1, 2, "2");
  see(1, 3, "1000");
  see_range(2, 1, 3);
  const auto report = finish();
  EXPECT_EQ(report.content_differs, 2);
  EXPECT_EQ(report.missing, 0);
}

TEST_F(LedgerCheckTest, WhatTheLedgerDoesNotPromiseIsCountedAndNoFault) {
  ledger_of(3);
  see_range(1, 1, 5);
  see_range(2, 1, 3);
  see(3, 1);
  for (const auto* foreign : {"", "{", "[]", "17", "not json", R"({"device":"dev-1"})", R"({"device":"dev-1","seq":-1})",
                              R"({"device":7,"seq":1})", R"({"device":"dev-1","seq":"1"})", R"({"device":"dev-1","seq":1e3})"})
    see_bytes(foreign);
  const auto report = finish();
  EXPECT_EQ(report.faults(), 0);
  EXPECT_EQ(report.unacknowledged, 2);
  EXPECT_EQ(report.foreign, 11);
}

TEST_F(LedgerCheckTest, WildNumbersDoNotTakeMemoryWithoutEnd) {
  ledger_of(3);
  for (std::int64_t i = 0; i < 100'000; ++i) see(1, i * 1'000'000 + 1'000'000);
  const auto report = finish();
  EXPECT_GT(report.foreign, 30'000);
  EXPECT_EQ(report.missing, 6);
}

}  // namespace
}  // namespace tributary
