#include "common/config/values.h"

#include <gtest/gtest.h>

#include "common/env/random.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

TEST(ByteSize, BinaryAndDecimalUnitsAreToldApart) {
  EXPECT_EQ(parse_byte_size("4096"), 4096u);
  EXPECT_EQ(parse_byte_size("64KiB"), 65536u);
  EXPECT_EQ(parse_byte_size("64 MiB"), 64u << 20);
  EXPECT_EQ(parse_byte_size("1GB"), 1'000'000'000u);
  EXPECT_EQ(parse_byte_size("1.5GiB"), (3ull << 30) / 2);
  EXPECT_EQ(parse_byte_size("2g"), 2ull << 30);
  EXPECT_EQ(parse_byte_size("18446744073709551615"), UINT64_MAX);
}

TEST(ByteSize, NonsenseIsRefusedWithAnExample) {
  for (const auto* bad : {"", "MiB", "-1", "12 parsecs", "1.MiB", "1.5B", "0.3KiB", "99999999999TiB",
                          "18446744073709551616", "1 KiB KiB", "1e3", "0x10", " 1"}) {
    const auto result = parse_byte_size(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_NE(result.error().message.find("64MiB"), std::string::npos);
  }
}

TEST(Duration, UnitsAndSumsAreTaken) {
  EXPECT_EQ(parse_duration("500ms"), Duration(500ms));
  EXPECT_EQ(parse_duration("1.5s"), Duration(1500ms));
  EXPECT_EQ(parse_duration("10m"), Duration(10min));
  EXPECT_EQ(parse_duration("7d"), Duration(168h));
  EXPECT_EQ(parse_duration("1h30m"), Duration(90min));
  EXPECT_EQ(parse_duration("250us"), Duration(250us));
  EXPECT_EQ(parse_duration("0"), Duration(0));
}

TEST(Duration, NonsenseIsRefused) {
  for (const auto* bad : {"", "5", "s", "-1s", "1x", "1sm", "300000000d", "1s 2m ", "1.5ns", "00"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Values, WhatIsPrintedIsReadBackTheSame) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for (int i = 0; i < 2000; ++i) {
    const auto bytes = random.next_u64() >> random.below(64);
    EXPECT_EQ(parse_byte_size(format_byte_size(bytes)), bytes) << format_byte_size(bytes);
    const Duration duration(static_cast<std::int64_t>(random.next_u64() >> (1 + random.below(63))));
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
  EXPECT_EQ(format_byte_size(64u << 20), "64MiB");
  EXPECT_EQ(format_byte_size(0), "0B");
  EXPECT_EQ(format_byte_size(1000), "1KB");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(168h), "7d");
  EXPECT_EQ(format_duration(-1s), "-1s");
}

TEST(HostPort, NamesAddressesAndBracketsAreTaken) {
  EXPECT_EQ(parse_host_port("127.0.0.1:9092"), (HostPort{"127.0.0.1", 9092}));
  EXPECT_EQ(parse_host_port("broker-1.example:1"), (HostPort{"broker-1.example", 1}));
  EXPECT_EQ(parse_host_port("[::1]:9092"), (HostPort{"::1", 9092}));
  EXPECT_EQ(parse_host_port(":9092"), (HostPort{"0.0.0.0", 9092}));
  EXPECT_EQ(parse_host_port("h:0"), (HostPort{"h", 0}));
  EXPECT_EQ((HostPort{"::1", 7}).text(), "[::1]:7");
}

TEST(HostPort, NonsenseIsRefused) {
  for (const auto* bad : {"", "host", "host:", "host:x", "host:70000", "::1:9092", "[host]:1", "tcp://h:1",
                          "h:1/", "a b:1", "h:-1", "h:+1", "h: 1"})
    EXPECT_FALSE(parse_host_port(bad)) << bad;
}

TEST(NearestName, ASlipIsFoundAndAStrangerIsNot) {
  const std::vector<std::string> known{"kafka", "nng", "data", "storage.segment_bytes"};
  EXPECT_EQ(nearest_name("kafak", known), "kafka");
  EXPECT_EQ(nearest_name("dta", known), "data");
  EXPECT_EQ(nearest_name("storage.segmnt_bytes", known), "storage.segment_bytes");
  EXPECT_EQ(nearest_name("retention", known), "");
  EXPECT_EQ(edit_distance("kafak", "kafka"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

}  // namespace
}  // namespace tributary
