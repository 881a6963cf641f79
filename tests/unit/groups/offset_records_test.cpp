#include "cluster/groups/offset_records.h"

#include <gtest/gtest.h>

#include "common/bytes/writer.h"
#include "common/env/random.h"

namespace tributary {
namespace {

/// "0001 0002 67:g" is two numbers in hex and the text behind the colon is a remark.
Bytes from_hex(std::string_view text) {
  Bytes bytes;
  int digits = 0;
  std::uint8_t byte = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':')
      while (i < text.size() && text[i] != ' ') ++i;
    if (i >= text.size() || text[i] == ' ') continue;
    const auto c = text[i];
    byte = static_cast<std::uint8_t>(byte << 4 | (c <= '9' ? c - '0' : c - 'a' + 10));
    if (++digits % 2 == 0) bytes.push_back(byte);
  }
  return bytes;
}

const CommittedOffset kOffset{Offset(258), LeaderEpoch(7), "m", 1'700'000'000'000, {}};

GroupMetadataValue group_of_two() {
  GroupMetadataValue value{.protocol_type = "consumer",
                           .generation = 5,
                           .protocol = "range",
                           .leader = "a",
                           .current_state_timestamp_ms = 9,
                           .members = {}};
  value.members.push_back({"a", std::nullopt, "c", "/h", 300'000, 10'000, Bytes{1, 2}, Bytes{3}});
  value.members.push_back({"b", "i", "c", "/h", 300'000, 10'000, Bytes{}, Bytes{}});
  return value;
}

TEST(OffsetRecordsTest, ACommitsKeyIsKafkasVersion1) {
  const OffsetCommitKey key{"g", {"t", PartitionIndex(2)}};
  const auto bytes = from_hex("0001 0001 67:g 0001 74:t 00000002");
  EXPECT_EQ(encode(key), bytes);
  EXPECT_EQ(std::get<OffsetCommitKey>(*decode_offsets_key(bytes)), key);
  EXPECT_EQ(std::get<OffsetCommitKey>(*decode_offsets_key(from_hex("0000 0001 67 0001 74 00000002"))), key);
}

TEST(OffsetRecordsTest, ACommitsValueIsKafkasVersion3) {
  const auto bytes = from_hex("0003 0000000000000102 00000007 0001 6d:m 0000018bcfe56800");
  EXPECT_EQ(encode(kOffset), bytes);
  EXPECT_EQ(*decode_offset_commit_value(bytes), kOffset);
}

TEST(OffsetRecordsTest, ARetentionOfItsOwnMakesACommitVersion1) {
  auto offset = kOffset;
  offset.expire_timestamp_ms = 1'700'000'000'001;
  const auto bytes = from_hex("0001 0000000000000102 0001 6d:m 0000018bcfe56800 0000018bcfe56801");
  EXPECT_EQ(encode(offset), bytes);
  offset.leader_epoch = kNoLeaderEpoch;  // it has no room
  EXPECT_EQ(*decode_offset_commit_value(bytes), offset);
}

TEST(OffsetRecordsTest, OlderCommitsAreRead) {
  auto offset = kOffset;
  offset.leader_epoch = kNoLeaderEpoch;
  for (const auto* text : {"0000 0000000000000102 0001 6d 0000018bcfe56800",
                           "0001 0000000000000102 0001 6d 0000018bcfe56800 ffffffffffffffff",
                           "0002 0000000000000102 0001 6d 0000018bcfe56800"})
    EXPECT_EQ(*decode_offset_commit_value(from_hex(text)), offset) << text;
}

TEST(OffsetRecordsTest, AGroupsKeyIsKafkasVersion2) {
  const auto bytes = from_hex("0002 0001 67:g");
  EXPECT_EQ(encode(GroupMetadataKey{"g"}), bytes);
  EXPECT_EQ(std::get<GroupMetadataKey>(*decode_offsets_key(bytes)), GroupMetadataKey{"g"});
}

TEST(OffsetRecordsTest, AGroupsValueIsKafkasVersion3) {
  const auto bytes = from_hex(
      "0003 0008 636f6e73756d6572:consumer 00000005 0005 72616e6765:range 0001 61:a 0000000000000009 00000002 "
      "0001 61:a ffff 0001 63:c 0002 2f68:/h 000493e0 00002710 00000002 0102 00000001 03 "
      "0001 62:b 0001 69:i 0001 63:c 0002 2f68:/h 000493e0 00002710 00000000 00000000");
  EXPECT_EQ(encode(group_of_two()), bytes);
  EXPECT_EQ(*decode_group_metadata_value(bytes), group_of_two());
}

TEST(OffsetRecordsTest, AnEmptyGroupHasNeitherProtocolNorLeader) {
  const GroupMetadataValue value{.protocol_type = "consumer", .generation = 6, .current_state_timestamp_ms = 9};
  const auto bytes = from_hex("0003 0008 636f6e73756d6572 00000006 ffff ffff 0000000000000009 00000000");
  EXPECT_EQ(encode(value), bytes);
  EXPECT_EQ(*decode_group_metadata_value(bytes), value);
}

TEST(OffsetRecordsTest, OlderGroupsAreRead) {
  const std::string head = " 0001 78:x 00000005 0001 72:r 0001 61:a ";
  GroupMetadataValue value{.protocol_type = "x", .generation = 5, .protocol = "r", .leader = "a"};
  value.members.push_back({"a", std::nullopt, "c", "/h", 300'000, 10'000, Bytes{1}, Bytes{2}});
  const std::string rest = "00002710 00000001 01 00000001 02";
  EXPECT_EQ(*decode_group_metadata_value(
                from_hex("0001" + head + "00000001 0001 61 0001 63 0002 2f68 000493e0 " + rest)),
            value);
  value.members[0].rebalance_timeout_ms = 10'000;
  EXPECT_EQ(*decode_group_metadata_value(from_hex("0000" + head + "00000001 0001 61 0001 63 0002 2f68 " + rest)),
            value);
  value.members[0].rebalance_timeout_ms = 300'000;
  value.current_state_timestamp_ms = 9;
  EXPECT_EQ(*decode_group_metadata_value(from_hex("0002" + head + "0000000000000009 00000001 0001 61 0001 63 "
                                                  "0002 2f68 000493e0 " + rest)),
            value);
}

TEST(OffsetRecordsTest, OtherVersionsAreUnsupported) {
  EXPECT_EQ(decode_offsets_key(from_hex("0003 0001 67")).error().code, Errc::kUnsupported);  // KIP-848's
  EXPECT_EQ(decode_offsets_key(from_hex("ffff 0001 67")).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_offset_commit_value(from_hex("0004")).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_group_metadata_value(from_hex("0004")).error().code, Errc::kUnsupported);
}

/// Every prefix, and the whole with a byte more, is an error, not something that was read by half.
template <class Decode>
void expect_exact(const Bytes& bytes, Decode decode) {
  ASSERT_TRUE(decode(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode(ByteView(bytes).first(size));
    ASSERT_FALSE(cut) << "cut to " << size;
    EXPECT_EQ(cut.error().code, Errc::kCorrupt);
    EXPECT_FALSE(cut.error().message.empty());
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_EQ(decode(longer).error().code, Errc::kCorrupt);
}

TEST(OffsetRecordsTest, WhatIsCutShortOrTooLongIsCorrupt) {
  expect_exact(encode(OffsetCommitKey{"group", {"topic", PartitionIndex(1)}}),
               [](ByteView b) { return decode_offsets_key(b); });
  expect_exact(encode(GroupMetadataKey{"group"}), [](ByteView b) { return decode_offsets_key(b); });
  expect_exact(encode(kOffset), [](ByteView b) { return decode_offset_commit_value(b); });
  expect_exact(encode(group_of_two()), [](ByteView b) { return decode_group_metadata_value(b); });
}

TEST(OffsetRecordsTest, AGroupThatContradictsItselfIsCorrupt) {
  const auto refused = [](auto change) {
    auto value = group_of_two();
    change(value);
    const auto decoded = decode_group_metadata_value(encode(value));
    return !decoded && decoded.error().code == Errc::kCorrupt;
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& value) { value.generation = -1; }));
  EXPECT_TRUE(refused([](auto& value) { value.protocol.reset(); }));
  EXPECT_TRUE(refused([](auto& value) { value.protocol_type.clear(); }));
  EXPECT_TRUE(refused([](auto& value) { value.leader = "z"; }));
  EXPECT_TRUE(refused([](auto& value) { value.members[1].member_id = "a"; }));
  EXPECT_TRUE(refused([](auto& value) { value.members[0].group_instance_id = "i"; }));
}

TEST(OffsetRecordsTest, AMemberCountThatCannotBeIsRefusedBeforeMemoryIsTaken) {
  EXPECT_EQ(decode_group_metadata_value(from_hex("0003 0000 00000005 ffff ffff 0000000000000009 7fffffff")).error().code,
            Errc::kCorrupt);
  EXPECT_EQ(decode_group_metadata_value(from_hex("0003 0000 00000005 ffff ffff 0000000000000009 ffffffff")).error().code,
            Errc::kCorrupt);
}

TEST(OffsetRecordsTest, DamagedBytesAreReadOrRefused) {
  const std::uint64_t seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  const std::vector<Bytes> whole{encode(OffsetCommitKey{"group", {"topic", PartitionIndex(1)}}),
                                 encode(GroupMetadataKey{"group"}), encode(kOffset), encode(group_of_two())};
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = whole[random.below(whole.size())];
    for (auto changes = random.below(4); changes > 0; --changes)
      bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.next_u64());
    (void)decode_offsets_key(bytes);
    (void)decode_offset_commit_value(bytes);
    // What is taken for a group can be written again.
    if (const auto group = decode_group_metadata_value(bytes)) (void)encode(*group);
  }
}

}  // namespace
}  // namespace tributary
