#include <gtest/gtest.h>

#include "common/bytes/crc32c.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"
#include "common/env/random.h"

namespace tributary {
namespace {

TEST(Crc32c, MatchesTheCheckValueOfRfc3720) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8A9136AAu);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62A8AB43u);
}

TEST(Crc32c, ExtendingEqualsTheWhole) {
  EXPECT_EQ(crc32c_extend(crc32c(as_bytes("1234")), as_bytes("56789")), 0xE3069283u);
}

TEST(ByteReader, ReadsBackWhatTheWriterWrote) {
  Bytes out;
  ByteWriter w(out);
  w.i8(-2); w.i16(-300); w.i32(1 << 30); w.i64(-(1ll << 60)); w.u32(0xffffffffu);
  w.varint(-1); w.varint(INT32_MIN); w.varlong(INT64_MIN); w.varlong(INT64_MAX); w.uvarint(300);
  w.bytes(as_bytes("end"));
  ByteReader r(out);
  EXPECT_EQ(r.i8(), -2);
  EXPECT_EQ(r.i16(), -300);
  EXPECT_EQ(r.i32(), 1 << 30);
  EXPECT_EQ(r.i64(), -(1ll << 60));
  EXPECT_EQ(r.u32(), 0xffffffffu);
  EXPECT_EQ(r.varint(), -1);
  EXPECT_EQ(r.varint(), INT32_MIN);
  EXPECT_EQ(r.varlong(), INT64_MIN);
  EXPECT_EQ(r.varlong(), INT64_MAX);
  EXPECT_EQ(r.uvarint(), 300u);
  EXPECT_EQ(as_string_view(r.bytes(3)), "end");
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.remaining(), 0u);
}

TEST(ByteReader, WritesBigEndianAndZigzagAsInKafkasGuide) {
  Bytes out;
  ByteWriter w(out);
  w.i32(0x01020304); w.varint(-1); w.varint(1); w.varint(64); w.uvarint(300);
  EXPECT_EQ(out, (Bytes{1, 2, 3, 4, 1, 2, 0x80, 1, 0xac, 2}));
}

TEST(ByteReader, AnErrorSticksAndGivesZeros) {
  const Bytes three{1, 2, 3};
  ByteReader r(three);
  EXPECT_EQ(r.i32(), 0);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.i8(), 0);
  EXPECT_EQ(r.remaining(), 0u);
}

TEST(ByteReader, RefusesVarintsThatAreTooLongOrTooLarge) {
  const Bytes endless(11, 0x80);
  EXPECT_FALSE([&] { ByteReader r(endless); r.uvarint(); return r.ok(); }());
  EXPECT_FALSE([&] { ByteReader r(endless); r.uvarlong(); return r.ok(); }());
  const Bytes over32{0xff, 0xff, 0xff, 0xff, 0x1f};
  EXPECT_FALSE([&] { ByteReader r(over32); r.uvarint(); return r.ok(); }());
}

TEST(ByteReader, SurvivesGarbage) {
  SeededRandom random(1);
  for (int round = 0; round < 20'000; ++round) {
    Bytes garbage(random.below(40));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random.next_u64());
    ByteReader r(garbage);
    while (r.ok() && r.remaining() > 0) {
      switch (random.below(5)) {
        case 0: r.varlong(); break;
        case 1: r.varint(); break;
        case 2: r.i64(); break;
        case 3: r.bytes(random.below(50)); break;
        default: r.i16(); break;
      }
    }
    EXPECT_EQ(r.remaining(), 0u);
  }
}

}  // namespace
}  // namespace tributary
