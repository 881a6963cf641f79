#include "common/record/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "common/bytes/writer.h"
#include "common/env/random.h"
#include "tests/support/code_of.h"
#include "tests/unit/record/records.h"

namespace tributary {
namespace {

using test::code_of;

Bytes compressed(Compression codec, ByteView plain, std::optional<int> level = std::nullopt) {
  Compressor compressor;
  Bytes out;
  const auto result = compressor.compress(codec, level, plain, out);
  EXPECT_TRUE(result) << result.error().message;
  return out;
}

Result<Bytes> decompressed(Compression codec, ByteView input, std::size_t bytes_max) {
  Decompressor decompressor;
  ASSIGN_OR_RETURN(const auto view, decompressor.decompress(codec, input, bytes_max));
  return to_bytes(view);
}

Bytes mixed(std::size_t size) {
  SeededRandom random(7);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = i % 3 == 0 ? static_cast<std::uint8_t>(random.next_u64()) : static_cast<std::uint8_t>(i / 100);
  return bytes;
}

TEST(Compression, NamesGoBothWays) {
  for (const auto codec : kAllCodecs) EXPECT_EQ(parse_compression(name_of(codec)), codec);
  EXPECT_EQ(parse_compression("brotli"), std::nullopt);
  EXPECT_EQ(parse_compression("ZSTD"), std::nullopt);
}

class Codec : public testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(Codecs, Codec, testing::ValuesIn(std::span(kAllCodecs).subspan(1)),
                         [](const auto& codec) { return std::string(name_of(codec.param)); });

TEST_P(Codec, RoundTripsAtEveryLevelAndSize) {
  Compressor compressor;
  Decompressor decompressor;
  for (const auto size : {0u, 1u, 100u, 4096u, 65536u, 300'000u}) {
    const auto plain = mixed(size);
    for (const int level : {-100, -1, 0, 1, 3, 6, 9, 22, 100}) {
      Bytes out{1, 2, 3};
      ASSERT_TRUE(compressor.compress(GetParam(), level, plain, out));
      EXPECT_EQ((Bytes{out[0], out[1], out[2]}), (Bytes{1, 2, 3}));
      const auto back = decompressor.decompress(GetParam(), ByteView(out).subspan(3), size);
      ASSERT_TRUE(back) << back.error().message << " at size " << size << ", level " << level;
      EXPECT_EQ(to_bytes(*back), plain);
      if (size > 20'000 && level > 9) break;  // one slow level is enough
    }
  }
}

TEST_P(Codec, TheCapIsExact) {
  for (const auto size : {1u, 4096u, 4097u, 100'000u}) {
    const auto input = compressed(GetParam(), mixed(size));
    EXPECT_TRUE(decompressed(GetParam(), input, size));
    EXPECT_EQ(code_of(decompressed(GetParam(), input, size - 1)), Errc::kTooLarge);
  }
}

TEST_P(Codec, ABombIsStoppedAtTheCap) {
  const auto bomb = compressed(GetParam(), Bytes(200u << 20, 0));
  EXPECT_EQ(code_of(decompressed(GetParam(), bomb, 1u << 20)), Errc::kTooLarge);
}

TEST_P(Codec, EveryTruncationIsCorrupt) {
  const auto plain = mixed(3000);
  const auto whole = compressed(GetParam(), plain);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(code_of(decompressed(GetParam(), ByteView(whole).first(size), 1u << 20)), Errc::kCorrupt)
        << size;
}

TEST_P(Codec, GarbageIsRefusedAndTheDecompressorStaysUsable) {
  Decompressor decompressor;
  const auto plain = mixed(2000);
  const auto good = compressed(GetParam(), plain);
  SeededRandom random(3);
  for (int round = 0; round < 2000; ++round) {
    auto bad = good;
    for (int i = 0; i < 3; ++i) bad[random.below(bad.size())] = static_cast<std::uint8_t>(random.next_u64());
    (void)decompressor.decompress(GetParam(), bad, 1u << 20);
    const auto back = decompressor.decompress(GetParam(), good, 1u << 20);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(to_bytes(*back), plain);
  }
}

TEST(Gzip, ReadsSeveralMembersAndPlainZlib) {
  auto two = compressed(Compression::kGzip, as_bytes("hello "));
  const auto second = compressed(Compression::kGzip, as_bytes("world"));
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(as_string_view(decompressed(Compression::kGzip, two, 100).value()), "hello world");
  Bytes zlib(100);
  uLongf size = zlib.size();
  ASSERT_EQ(compress(zlib.data(), &size, reinterpret_cast<const Bytef*>("plain"), 5), Z_OK);
  zlib.resize(size);
  EXPECT_EQ(as_string_view(decompressed(Compression::kGzip, zlib, 100).value()), "plain");
}

Bytes xerial(std::initializer_list<std::string_view> blocks) {
  Bytes out{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
  ByteWriter writer(out);
  for (const auto block : blocks) {
    const auto packed = compressed(Compression::kSnappy, as_bytes(block));
    writer.i32(static_cast<std::int32_t>(packed.size()));
    writer.bytes(packed);
  }
  return out;
}

TEST(Snappy, ReadsXerialsFramingOfOneOrManyBlocksOrNone) {
  EXPECT_EQ(as_string_view(decompressed(Compression::kSnappy, xerial({"one"}), 100).value()), "one");
  EXPECT_EQ(as_string_view(decompressed(Compression::kSnappy, xerial({"one", "", "three"}), 8).value()),
            "onethree");
  EXPECT_TRUE(decompressed(Compression::kSnappy, xerial({}), 100)->empty());
  EXPECT_EQ(code_of(decompressed(Compression::kSnappy, xerial({"one", "three"}), 7)), Errc::kTooLarge);
  auto cut = xerial({"one"});
  cut.pop_back();
  EXPECT_EQ(code_of(decompressed(Compression::kSnappy, cut, 100)), Errc::kCorrupt);
  cut.resize(12);
  EXPECT_EQ(code_of(decompressed(Compression::kSnappy, cut, 100)), Errc::kCorrupt);
}

TEST(Snappy, AnImpossibleClaimIsRefusedWithoutAllocatingForIt) {
  const Bytes claims_32_mib{0x80, 0x80, 0x80, 0x10, 0x00};
  EXPECT_EQ(code_of(decompressed(Compression::kSnappy, claims_32_mib, 64u << 20)), Errc::kCorrupt);
}

TEST(Lz4, TheFrameIsWhatKafkasJavaClientReads) {
  const auto frame = compressed(Compression::kLz4, mixed(100'000));
  EXPECT_EQ((Bytes{frame[0], frame[1], frame[2], frame[3]}), (Bytes{0x04, 0x22, 0x4d, 0x18}));
  EXPECT_EQ(frame[4] & 0xc0, 0x40) << "version 1";
  EXPECT_EQ(frame[4] & 0x20, 0x20) << "blocks are independent";
  EXPECT_EQ(frame[4] & 0x08, 0) << "no content size";
}

TEST(Zstd, ReadsFramesWithoutAContentSizeAndSeveralInARow) {
  const auto plain = mixed(500'000);
  auto* const stream = ZSTD_createCCtx();
  Bytes out(ZSTD_compressBound(plain.size()) + 100);
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  for (int frame = 0; frame < 2; ++frame) {
    ZSTD_inBuffer input{plain.data(), plain.size(), 0};
    ZSTD_compressStream2(stream, &output, &input, ZSTD_e_flush);
    ZSTD_compressStream2(stream, &output, &input, ZSTD_e_end);
    if (frame == 0) {
      ASSERT_EQ(ZSTD_getFrameContentSize(out.data(), output.pos), ZSTD_CONTENTSIZE_UNKNOWN);
      EXPECT_EQ(decompressed(Compression::kZstd, ByteView(out).first(output.pos), plain.size()).value(), plain);
      out.resize(2 * out.size());
      output.dst = out.data();
      output.size = out.size();
    }
  }
  ZSTD_freeCCtx(stream);
  const auto both = decompressed(Compression::kZstd, ByteView(out).first(output.pos), 2 * plain.size());
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->size(), 2 * plain.size());
}

}  // namespace
}  // namespace tributary
