#include "common/record/partitioner.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(Murmur2, GivesTheNumbersOfKafkasOwnTests) {
  EXPECT_EQ(murmur2(as_bytes("21")), -973932308);
  EXPECT_EQ(murmur2(as_bytes("foobar")), -790332482);
  EXPECT_EQ(murmur2(as_bytes("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(murmur2(as_bytes("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(murmur2(as_bytes("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")), -58897971);
  EXPECT_EQ(murmur2(as_bytes("abc")), 479470107);
}

TEST(Partitioner, ClearsTheSignBitRatherThanNegating) {
  EXPECT_EQ(partition_of_key(as_bytes("21"), 7), PartitionIndex((-973932308 & 0x7fffffff) % 7));
  EXPECT_EQ(partition_of_key(as_bytes("abc"), 10), PartitionIndex(479470107 % 10));
  EXPECT_EQ(partition_of_key(as_bytes(""), 1), PartitionIndex(0));
}

}  // namespace
}  // namespace tributary
