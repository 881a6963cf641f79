// Bytes on disk, against bytes written down from the definitions of Kafka's formats.

#include "cluster/storage/checkpoint_file.h"
#include "cluster/storage/meta_properties.h"
#include "cluster/storage/partition_metadata.h"
#include "cluster/storage/producer_snapshot.h"
#include "common/bytes/crc32c.h"
#include "common/bytes/writer.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  bool high = true;
  for (const char c : text) {
    if (c == ' ') continue;
    const auto digit = static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (high) bytes.push_back(static_cast<std::uint8_t>(digit << 4));
    else bytes.back() |= digit;
    high = !high;
  }
  return bytes;
}

// ---- names ----

TEST(FolderNames, SegmentFilesHaveTwentyDigits) {
  EXPECT_EQ(segment_file_name(Offset(42), kLogSuffix), "00000000000000000042.log");
  EXPECT_EQ(segment_file_name(Offset(INT64_MAX), kTimeIndexSuffix), "09223372036854775807.timeindex");
  EXPECT_EQ(parse_segment_file_name("00000000000000000042.snapshot")->base_offset, Offset(42));
  for (const auto* bad : {"42.log", "00000000000000000042", "00000000000000000042.logs", ".log",
                          "-0000000000000000042.log", "99999999999999999999.log", "00000000000000000042.log.deleted"})
    EXPECT_FALSE(parse_segment_file_name(bad)) << bad;
}

TEST(FolderNames, PartitionFoldersAreTopicDashPartition) {
  EXPECT_EQ(partition_folder_name({"a-b.c_1", PartitionIndex(12)}), "a-b.c_1-12");
  EXPECT_EQ(parse_partition_folder_name("a-b.c_1-12"), (TopicPartition{"a-b.c_1", PartitionIndex(12)}));
  for (const auto* bad : {"readings", "readings-", "-1", "readings-01", "readings-2147483648", "read ings-1",
                          "..-1", "readings-1.00000000000000000000000000000001-delete", "readings-+1"})
    EXPECT_FALSE(parse_partition_folder_name(bad)) << bad;
}

TEST(FolderNames, DeletedFoldersAreRecognisedAndFitAFileSystem) {
  const auto name = deleted_folder_name({"readings", PartitionIndex(0)}, 1, 0xabcdef);
  EXPECT_EQ(name, "readings-0.00000000000000010000000000abcdef-delete");
  EXPECT_TRUE(is_deleted_folder_name(name));
  const auto longest = deleted_folder_name({std::string(249, 't'), PartitionIndex(99999)}, 1, 2);
  EXPECT_EQ(longest.size(), 255u);
  EXPECT_TRUE(is_deleted_folder_name(longest));
  for (const auto* bad : {"my.files-delete", "-delete", "x-delete", "readings-0",
                          ".00000000000000010000000000abcdef-delete", "a-0.00000000000000010000000000ABCDEF-delete"})
    EXPECT_FALSE(is_deleted_folder_name(bad)) << bad;
}

// ---- text files ----

TEST(CheckpointFile, OffsetsAreWrittenAsKafkaDoes) {
  const OffsetCheckpoint offsets{{{"a", PartitionIndex(1)}, Offset(5)}, {{"b", PartitionIndex(0)}, Offset(7)}};
  EXPECT_EQ(render_offset_checkpoint(offsets), "0\n2\na 1 5\nb 0 7\n");
  EXPECT_EQ(parse_offset_checkpoint("0\n2\na 1 5\nb 0 7\n").value(), offsets);
  EXPECT_EQ(parse_offset_checkpoint("0\n2\na 1 5\nb 0 7").value(), offsets);
  EXPECT_TRUE(parse_offset_checkpoint("0\n0\n").value().empty());
}

TEST(CheckpointFile, DamageIsNamedByLine) {
  EXPECT_EQ(parse_offset_checkpoint("1\n0\n").error().code, Errc::kUnsupported);
  EXPECT_EQ(parse_offset_checkpoint("0\n1\na 1 x\n").error().message, "line 3: not \"topic partition offset\"");
  for (const auto* bad : {"", "0", "0\n", "0\n-1\n", "0\n2\na 1 5\n", "0\n1\na 1\n", "0\n1\na 1 5 6\n", "0\n1\na -1 5\n",
                          "0\n1\na 1 -5\n", "0\n1\n 1 5\n", "0\n18446744073709551616\n", "0\n1\na 1 5\n\n"})
    EXPECT_FALSE(parse_offset_checkpoint(bad)) << bad;
}

TEST(CheckpointFile, EpochsRise) {
  const std::vector<EpochStart> epochs{{LeaderEpoch(0), Offset(0)}, {LeaderEpoch(3), Offset(17)}};
  EXPECT_EQ(render_epoch_checkpoint(epochs), "0\n2\n0 0\n3 17\n");
  EXPECT_EQ(parse_epoch_checkpoint("0\n2\n0 0\n3 17\n").value(), epochs);
  EXPECT_FALSE(parse_epoch_checkpoint("0\n2\n3 0\n3 17\n"));
  EXPECT_FALSE(parse_epoch_checkpoint("0\n2\n0 17\n3 16\n"));
}

TEST(PartitionMetadata, IsKafkasText) {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(render_partition_metadata(id), "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw");
  EXPECT_EQ(parse_partition_metadata("version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n").value(), id);
  EXPECT_EQ(parse_partition_metadata("version: 1\ntopic_id: AAECAwQFBgcICQoLDA0ODw").error().code, Errc::kUnsupported);
  EXPECT_FALSE(parse_partition_metadata("version: 0\ntopic_id: AAECAwQFBgcICQoLDA0O"));
  EXPECT_FALSE(parse_partition_metadata(""));
}

TEST(MetaProperties, ReadsBothOfKafkasVersions) {
  EXPECT_EQ(render_meta_properties({"abc", BrokerId(3)}), "version=1\ncluster.id=abc\nnode.id=3\n");
  const auto kraft = parse_meta_properties("#\n#Mon Jan 01\nnode.id=3\ndirectory.id=x\nversion=1\ncluster.id=abc\n").value();
  EXPECT_EQ(kraft.broker_id, BrokerId(3));
  EXPECT_EQ(kraft.cluster_id, "abc");
  EXPECT_EQ(parse_meta_properties("version=0\r\ncluster.id = abc\r\nbroker.id=4\r\n")->broker_id, BrokerId(4));
  EXPECT_EQ(parse_meta_properties("version=2\ncluster.id=abc\nnode.id=3\n").error().code, Errc::kUnsupported);
  for (const auto* bad : {"", "garbage", "version=1\n", "version=1\ncluster.id=abc\n", "version=1\ncluster.id=\nnode.id=3\n",
                          "version=1\ncluster.id=abc\nnode.id=x\n", "version=1\ncluster.id=abc\nnode.id=-3\n"})
    EXPECT_EQ(parse_meta_properties(bad).error().code, Errc::kCorrupt) << bad;
}

// ---- indexes ----

TEST_F(LogTest, TheIndexesAreKafkas) {
  options_.config.index_interval_bytes = 4096;
  Open();
  // Batches of 2 records and 61 + 2 * ... bytes: an entry for the first batch after 4096 bytes.
  const auto size = batch({.count = 2, .value_bytes = 1500}).size();
  ASSERT_GT(2 * size, 4096u);
  ASSERT_LT(size, 4096u);
  for (int i = 0; i < 6; ++i) Append({.count = 2, .value_bytes = 1500, .timestamp_ms = 0x10000 + 0x100 * i});
  CloseCleanly();
  Bytes index;
  ByteWriter writer(index);
  writer.i32(5);                                  // the third batch: offsets 4 and 5
  writer.i32(static_cast<std::int32_t>(2 * size));
  writer.i32(9);                                  // the fifth
  writer.i32(static_cast<std::int32_t>(4 * size));
  EXPECT_EQ(FileBytes(Path(0, kOffsetIndexSuffix)), index);
  EXPECT_EQ(FileBytes(Path(0, kTimeIndexSuffix)), from_hex("0000000000010201 00000005"
                                                           "0000000000010401 00000009"
                                                           "0000000000010501 0000000b"));
}

TEST_F(LogTest, TheIndexesOfALaterSegmentAreRelativeToItsOffset) {
  options_.config.segment_bytes = 1000;
  options_.config.index_interval_bytes = 1;
  Open();
  AppendMany(7, {.value_bytes = 300});
  CloseCleanly();
  const auto size = batch({.value_bytes = 300}).size();
  Bytes index;
  ByteWriter writer(index);
  writer.i32(1);
  writer.i32(static_cast<std::int32_t>(size));
  EXPECT_EQ(FileBytes(Path(2, kOffsetIndexSuffix)), index);
}

// ---- producer snapshot ----

constexpr std::string_view kSnapshotEntries =
    "00000001"                                           // one producer
    "0000000000000007 0002 00000009 0000000000000010"   // id 7, epoch 2, last sequence 9, offset 16
    "00000001 00000000000003e8 ffffffff ffffffffffffffff";  // delta 1, timestamp 1000, no transaction

Bytes with_header(Bytes body) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(1);
  writer.u32(crc32c(body));
  writer.bytes(body);
  return bytes;
}

TEST(ProducerSnapshot, KafkasOwnGivesTheNewestBatch) {
  ProducerStates states(10);
  ASSERT_TRUE(decode_producer_snapshot(with_header(from_hex(kSnapshotEntries)), Offset(17), states));
  const auto* entry = states.find(ProducerId(7));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->epoch, ProducerEpoch(2));
  EXPECT_EQ(entry->batch_count, 1);
  EXPECT_EQ(entry->newest(), (ProducerBatch{Sequence(9), Offset(16), 1, 1000}));
  EXPECT_EQ(entry->run_records, 2);
}

TEST(ProducerSnapshot, IsKafkasWithTheOlderBatchesBehind) {
  ProducerStates states(10);
  BatchHeader header;
  header.producer_id = ProducerId(7);
  header.producer_epoch = ProducerEpoch(2);
  header.base_offset = Offset(12);
  header.base_sequence = Sequence(7);
  header.max_timestamp_ms = 999;
  states.apply(header);
  header.base_offset = Offset(15);
  header.base_sequence = Sequence(8);
  header.last_offset_delta = 1;
  header.max_timestamp_ms = 1000;
  states.apply(header);
  auto body = from_hex(kSnapshotEntries);
  const auto older = from_hex(
      "54524942 0001"                                            // "TRIB", version 1
      "00000003 01"                                              // 3 records in a row, one older batch
      "00000007 000000000000000c 00000000 00000000000003e7");  // sequence 7, offset 12, delta 0, 999
  body.insert(body.end(), older.begin(), older.end());
  EXPECT_EQ(encode_producer_snapshot(states), with_header(body));

  ProducerStates restored(10);
  ASSERT_TRUE(decode_producer_snapshot(with_header(body), Offset(17), restored));
  EXPECT_EQ(restored.find(ProducerId(7))->batches, states.find(ProducerId(7))->batches);
  EXPECT_EQ(restored.find(ProducerId(7))->run_records, 3);
}

TEST(ProducerSnapshot, EmptyIsValid) {
  ProducerStates states(10);
  const auto bytes = encode_producer_snapshot(states);
  EXPECT_TRUE(decode_producer_snapshot(bytes, Offset(0), states));
  EXPECT_EQ(states.size(), 0u);
}

TEST(ProducerSnapshot, DamageIsRefused) {
  ProducerStates states(10);
  const auto good = with_header(from_hex(kSnapshotEntries));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x40;
    EXPECT_FALSE(decode_producer_snapshot(bad, Offset(17), states)) << i;
    EXPECT_FALSE(decode_producer_snapshot(ByteView(good).first(i), Offset(17), states)) << i;
    EXPECT_EQ(states.size(), 0u);
  }
  EXPECT_EQ(decode_producer_snapshot(good, Offset(16), states).error().code, Errc::kCorrupt);
}

TEST(ProducerSnapshot, FieldsThatContradictEachOtherAreRefusedEvenWithAGoodCrc) {
  SeededRandom random(3);
  auto body = from_hex(kSnapshotEntries);
  const auto older = from_hex("54524942 0001 00000003 01 00000007 000000000000000c 00000000 00000000000003e7");
  body.insert(body.end(), older.begin(), older.end());
  for (int round = 0; round < 20'000; ++round) {
    auto mutated = body;
    for (auto n = 1 + random.below(3); n > 0; --n)
      mutated[random.below(mutated.size())] = static_cast<std::uint8_t>(random.next_u64());
    if (random.below(4) == 0) mutated.resize(random.below(mutated.size()));
    ProducerStates states(10);
    if (!decode_producer_snapshot(with_header(mutated), Offset(17), states)) continue;
    for (const auto& [id, entry] : states.sorted()) {
      EXPECT_GE(entry->batch_count, 1);
      EXPECT_LT(entry->newest().last_offset, Offset(17));
      EXPECT_GE(entry->oldest().base_offset(), Offset(0));
    }
  }
}

}  // namespace
}  // namespace tributary
