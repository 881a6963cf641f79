#include "cluster/groups/partition_of.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(PartitionOfTest, TheHashIsThatOfJavasString) {
  EXPECT_EQ(java_string_hash(""), 0);
  EXPECT_EQ(java_string_hash("abc"), 96354);
  EXPECT_EQ(java_string_hash("hello"), 99162322);
  EXPECT_EQ(java_string_hash("grüße"), 98768023);
  EXPECT_EQ(java_string_hash("温度"), 898461);
  EXPECT_EQ(java_string_hash("😀 group"), -1570619006);  // a surrogate pair
}

TEST(PartitionOfTest, AGroupHasThePartitionThatKafkaGivesIt) {
  EXPECT_EQ(offsets_partition_of("hello", 50), 22);
  EXPECT_EQ(offsets_partition_of("😀 group", 50), 6);
  EXPECT_EQ(offsets_partition_of("console-consumer-12345", 50), 6);
  EXPECT_EQ(offsets_partition_of("anything", 1), 0);
}

TEST(PartitionOfTest, TheSmallestHashHasPartitionZero) {
  EXPECT_EQ(java_string_hash("polygenelubricants"), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(offsets_partition_of("polygenelubricants", 50), 0);
}

TEST(PartitionOfTest, MalformedUtf8CountsAsTheReplacementCharacter) {
  const auto replacement = java_string_hash("\uFFFD");
  for (const std::string_view bad : {"\x80", "\xff", "\xc3", "\xc0", "\xf5"})
    EXPECT_EQ(java_string_hash(bad), replacement);
  EXPECT_EQ(java_string_hash("\xe2\x82"), java_string_hash("\uFFFD\uFFFD"));          // cut short
  EXPECT_EQ(java_string_hash("\xc3(" "a"), java_string_hash("\uFFFD(" "a"));          // no continuation
  EXPECT_EQ(java_string_hash("\xed\xa0\x80"), java_string_hash("\uFFFD\uFFFD\uFFFD"));  // a lone surrogate
}

}  // namespace
}  // namespace tributary
