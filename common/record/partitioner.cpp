#include "common/record/partitioner.h"

#include <cstring>

#include "common/base/check.h"

namespace tributary {

std::int32_t murmur2(ByteView data) {
  constexpr std::uint32_t kSeed = 0x9747b28c, kMultiplier = 0x5bd1e995;
  constexpr int kShift = 24;
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(data.size());
  for (; data.size() >= 4; data = data.subspan(4)) {
    std::uint32_t block;
    std::memcpy(&block, data.data(), sizeof block);  // little endian, as reader.h asserts
    block *= kMultiplier;
    block ^= block >> kShift;
    block *= kMultiplier;
    hash *= kMultiplier;
    hash ^= block;
  }
  if (!data.empty()) {
    for (std::size_t i = 0; i < data.size(); ++i) hash ^= static_cast<std::uint32_t>(data[i]) << (8 * i);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return static_cast<std::int32_t>(hash);
}

PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count) {
  CHECK(partition_count > 0, "partition count {} > 0", partition_count);
  return PartitionIndex((murmur2(key) & 0x7fffffff) % partition_count);
}

}  // namespace tributary
