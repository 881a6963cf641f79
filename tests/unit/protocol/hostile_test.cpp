// Damaged frames: an error or another message, never a crash, and never much memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/bytes/writer.h"
#include "common/env/random.h"
#include "tests/unit/protocol/allocations.h"
#include "tests/unit/protocol/any_message.h"
#include "tests/unit/protocol/golden.h"

namespace tributary {
namespace {

/// Decoding and encoding again may take this much: structs are larger than their bytes, but only so much.
std::size_t allowance(std::size_t frame_bytes) { return 64 * 1024 + 600 * frame_bytes; }

TEST(Hostile, EveryTruncationOfEveryFrameIsAnError) {
  for (const auto& frame : golden::frames()) {
    for (std::size_t size = 0; size < frame.bytes.size(); ++size) {
      const auto result = decode_and_encode(frame.message, frame.version, ByteView(frame.bytes).first(size));
      ASSERT_FALSE(result) << frame.title() << ", first " << size << " bytes";
      ASSERT_EQ(result.error().code, Errc::kCorrupt) << frame.title() << ": " << result.error().message;
    }
  }
}

TEST(Hostile, MutatedFramesAreRefusedOrReadWithinBounds) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  std::size_t read = 0, refused = 0;
  for (const auto& frame : golden::frames()) {
    for (int round = 0; round < 200; ++round) {
      Bytes damaged = frame.bytes;
      for (auto changes = 1 + random.below(4); changes > 0; --changes) {
        const auto at = random.below(damaged.size());
        switch (random.below(4)) {
          case 0: damaged[at] = static_cast<std::uint8_t>(random.next_u64()); break;
          case 1: damaged[at] = random.below(2) ? 0xff : 0x7f; break;
          case 2: damaged[at] ^= static_cast<std::uint8_t>(1u << random.below(8)); break;
          default: damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at), 0xff); break;
        }
      }
      const auto before = allocated_bytes();
      const auto result = decode_and_encode(frame.message, frame.version, damaged);
      const auto cost = allocated_bytes() - before;
      ASSERT_LE(cost, allowance(damaged.size())) << frame.title();
      (result ? read : refused) += 1;
      if (result) continue;
      ASSERT_NE(result.error().code, Errc::kUnsupported) << frame.title();
    }
  }
  EXPECT_GT(read, 0u);
  EXPECT_GT(refused, 0u);
}

TEST(Hostile, AHugeLengthAtAnyPlaceIsReadWithinBounds) {
  const Bytes classic{0x7f, 0xff, 0xff, 0xff}, compact{0xff, 0xff, 0xff, 0xff, 0x0f};
  for (const auto& frame : golden::frames()) {
    for (const auto& length : {classic, compact}) {
      for (std::size_t at = 0; at + length.size() <= frame.bytes.size(); ++at) {
        Bytes damaged = frame.bytes;
        std::ranges::copy(length, damaged.begin() + static_cast<std::ptrdiff_t>(at));
        const auto before = allocated_bytes();
        (void)decode_and_encode(frame.message, frame.version, damaged);
        ASSERT_LE(allocated_bytes() - before, allowance(damaged.size())) << frame.title() << ", byte " << at;
      }
    }
  }
}

TEST(Hostile, GarbageIsRefusedWithinBounds) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for_each_request([&](auto tag) {
    using Request = typename decltype(tag)::Type;
    for (int round = 0; round < 2000; ++round) {
      Bytes garbage(random.below(120));
      const bool sparse = random.below(2) == 0;
      for (auto& byte : garbage) {
        byte = sparse ? static_cast<std::uint8_t>(random.below(3)) : static_cast<std::uint8_t>(random.next_u64());
      }
      for (auto v = Request::valid.min; v <= Request::valid.max; ++v) {
        const auto before = allocated_bytes();
        (void)decode_request<Request>(garbage, v);
        (void)decode_response<typename Request::Response>(garbage, v);
        ASSERT_LE(allocated_bytes() - before, 2 * allowance(garbage.size())) << Request::name << " v" << v;
      }
    }
  });
}

TEST(Hostile, ACountIsCheckedBeforeMemoryIsTaken) {
  Bytes frame{0, 0, 0, 1};
  ByteWriter(frame).i32(0x7fffffff);  // brokers
  const auto before = allocated_bytes();
  const auto response = decode_response<MetadataResponse>(frame, 0);
  EXPECT_LE(allocated_bytes() - before, 16'384u);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().message,
            "MetadataResponse v0, field 1, byte 0: a length of 2147483647, but only 0 bytes are left");
}

TEST(Hostile, ACountOfNumbersIsCheckedAgainstTheirSize) {
  Bytes frame{0, 0, 0, 1};
  ByteWriter w(frame);
  w.i32(0);  // brokers
  w.i32(1);  // topics
  w.i16(0);
  w.i16(0);
  w.i32(1);  // partitions
  w.i16(0);
  w.i32(0);
  w.i32(0);
  w.i32(5);  // replicas, of four bytes each
  frame.insert(frame.end(), 19, 0);
  const auto response = decode_response<MetadataResponse>(frame, 0);
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message, testing::HasSubstr("field 4[0].4[0].4, byte"));
}

TEST(Hostile, AFrameOfTinyElementsMayNotBecomeLarge) {
  Bytes body;
  ByteWriter w(body);
  const std::uint32_t topics = 3'000'000;
  w.uvarint(topics + 1);
  for (std::uint32_t i = 0; i < topics; ++i) {
    w.uvarint(1);  // an empty name
    w.uvarint(0);  // no tags
  }
  body.insert(body.end(), {0, 0, 0, 0});
  const auto before = allocated_bytes();
  const auto request = decode_request<MetadataRequest>(body, 9);
  EXPECT_LE(allocated_bytes() - before, kDecodedBytesMax + 65'536);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Errc::kTooLarge);
  EXPECT_THAT(request.error().message, testing::HasSubstr("over 64 MiB"));
}

}  // namespace
}  // namespace tributary
