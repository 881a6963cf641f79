#include "common/record/record_batch.h"

#include <cstring>
#include <limits>

#include "common/bytes/crc32c.h"
#include "common/bytes/writer.h"
#include "tests/support/code_of.h"
#include "tests/unit/record/records.h"

namespace tributary {
namespace {

using test::code_of;

/// Overwrites big-endian fields and repairs the CRC, so that only the check in question can fail.
class Forged {
 public:
  explicit Forged(Bytes batch) : batch_(std::move(batch)) {}
  Forged& i8(std::size_t at, std::int8_t v) { batch_[at] = static_cast<std::uint8_t>(v); return *this; }
  Forged& i16(std::size_t at, std::int16_t v) { return put(at, v, 2); }
  Forged& i32(std::size_t at, std::int32_t v) { return put(at, v, 4); }
  Forged& i64(std::size_t at, std::int64_t v) { return put(at, v, 8); }
  [[nodiscard]] Bytes batch() {
    if (batch_.size() >= kBatchHeaderSize)
      put(17, static_cast<std::int64_t>(crc32c(ByteView(batch_).subspan(21))), 4);
    return batch_;
  }

 private:
  Forged& put(std::size_t at, std::int64_t v, int size) {
    for (int i = 0; i < size; ++i)
      batch_[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(v >> (8 * (size - 1 - i)));
    return *this;
  }
  Bytes batch_;
};

Bytes ten() { return batch_of(readings(10)); }
TEST(BatchHeader, TheFirst61BytesAreEnough) {
  const auto batch = ten();
  const auto header = parse_batch_header(ByteView(batch).first(kBatchHeaderSize));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->total_bytes(), batch.size());
  EXPECT_EQ(code_of(parse_batch_header(ByteView(batch).first(60))), Errc::kCorrupt);
  EXPECT_EQ(code_of(parse_batch_header({})), Errc::kCorrupt);
}

TEST(BatchHeader, OldMessageFormatsAreUnsupportedNotCorrupt) {
  EXPECT_EQ(code_of(parse_batch_header(Forged(ten()).i8(16, 0).batch())), Errc::kUnsupported);
  EXPECT_EQ(code_of(parse_batch_header(Forged(ten()).i8(16, 1).batch())), Errc::kUnsupported);
  EXPECT_EQ(code_of(parse_batch_header(Forged(ten()).i8(16, 3).batch())), Errc::kCorrupt);
}

TEST(BatchHeader, RefusesFieldsThatWouldOverflowOrMakeNoSense) {
  constexpr auto kMax64 = std::numeric_limits<std::int64_t>::max();
  for (const auto& bad : {
           Forged(ten()).i32(8, 48).batch(), Forged(ten()).i32(8, -1).batch(),
           Forged(ten()).i32(57, -1).batch(), Forged(ten()).i32(23, -1).batch(),
           Forged(ten()).i32(57, 11).batch(), Forged(ten()).i64(0, -1).batch(),
           Forged(ten()).i64(0, kMax64 - 9).batch(), Forged(ten()).i16(21, 5).batch(),
           Forged(ten()).i16(21, 7).batch()})
    EXPECT_EQ(code_of(parse_batch_header(bad)), Errc::kCorrupt);
  const auto last = parse_batch_header(Forged(ten()).i64(0, kMax64 - 10).batch());
  ASSERT_TRUE(last);
  EXPECT_EQ(last->next_offset(), Offset(kMax64));
}

TEST(StoredBatch, EveryFlippedBitBehindThePrefixIsFound) {
  const auto good = batch_of(readings(2));
  ASSERT_TRUE(validate_stored_batch(good));
  for (std::size_t bit = 8 * kBatchPrefixSize; bit < 8 * good.size(); ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(validate_stored_batch(bad)) << "bit " << bit;
  }
}

TEST(StoredBatch, TheLengthMustBeExact) {
  auto batch = ten();
  EXPECT_FALSE(validate_stored_batch(ByteView(batch).first(batch.size() - 1)));
  batch.push_back(0);
  EXPECT_FALSE(validate_stored_batch(batch));
}

TEST(StoredBatch, MayBeCompactedToFewerRecordsThanOffsetsOrNone) {
  const auto compacted = Forged(ten()).i32(23, 20).batch();
  EXPECT_TRUE(validate_stored_batch(compacted));
  EXPECT_EQ(read_all(compacted)->size(), 10u);
  auto none = ten();
  none.resize(kBatchHeaderSize);
  none = Forged(none).i32(57, 0).i32(8, 49).batch();
  EXPECT_TRUE(validate_stored_batch(none));
  EXPECT_EQ(read_all(none)->size(), 0u);
  EXPECT_EQ(code_of(validate_batch(none, {})), Errc::kInvalidArgument);
}

TEST(ProducedBatch, WithoutAProducerIdEpochAndSequenceMeanNothing) {
  const auto of = [](std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
    return Forged(ten()).i64(43, id).i16(51, epoch).i32(53, sequence).batch();
  };
  EXPECT_TRUE(validate_batch(of(-1, 0, 0), {}));  // kafkajs
  EXPECT_TRUE(validate_batch(of(-1, -1, -1), {}));
  EXPECT_TRUE(validate_batch(of(7, 0, 0), {}));
  EXPECT_EQ(code_of(validate_batch(of(7, -1, 0), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(of(7, 0, -1), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(of(-2, 0, 0), {})), Errc::kInvalidArgument);
}

TEST(ProducedBatch, OffsetsAreDense) {
  EXPECT_TRUE(validate_batch(ten(), {}));
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i32(23, 10).batch(), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i32(57, 9).batch(), {})), Errc::kInvalidArgument);
  // The header says 9 records of 0..8, the records say 10.
  const auto lying = Forged(ten()).i32(57, 9).i32(23, 8).batch();
  EXPECT_EQ(code_of(validate_batch(lying, {})), Errc::kInvalidArgument);
  EXPECT_TRUE(validate_batch(lying, {.record_check = RecordCheck::kNone}));
  // The second record repeats the first one's delta: length, attributes, timestamp, then the delta.
  const auto two = batch_of({{0, 1, "k", "v", {}}, {1, 1, "k", "v", {}}});
  ASSERT_EQ(two[kBatchHeaderSize + 9 + 3], 2);
  EXPECT_EQ(code_of(validate_batch(Forged(two).i8(kBatchHeaderSize + 9 + 3, 0).batch(), {})),
            Errc::kInvalidArgument);
}

TEST(ProducedBatch, CompressedRecordsAreCheckedOnlyOnRequest) {
  auto batch = batch_of(readings(100), {.compression = Compression::kZstd});
  batch = Forged(batch).i32(57, 99).i32(23, 98).batch();
  EXPECT_TRUE(validate_batch(batch, {}));
  EXPECT_EQ(code_of(validate_batch(batch, {.record_check = RecordCheck::kAll})), Errc::kInvalidArgument);
}

TEST(ProducedBatch, IsNeitherControlNorLogAppendTimeNorHalfIdempotent) {
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i16(21, 0x20).batch(), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i16(21, 0x08).batch(), {})), Errc::kInvalidTimestamp);
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i16(21, 0x10).batch(), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i64(43, 5).batch(), {})), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(validate_batch(Forged(ten()).i64(43, -2).batch(), {})), Errc::kInvalidArgument);
  EXPECT_TRUE(validate_batch(Forged(ten()).i64(43, 5).i16(51, 0).i32(53, 0).i16(21, 0x10).batch(), {}));
}

TEST(ProducedBatch, AnOversizeOneIsRefusedBeforeItIsRead) {
  const auto batch = ten();
  EXPECT_TRUE(validate_batch(batch, {.batch_bytes_max = batch.size()}));
  EXPECT_EQ(code_of(validate_batch(batch, {.batch_bytes_max = batch.size() - 1})), Errc::kTooLarge);
  EXPECT_EQ(code_of(validate_batch(Bytes(100, 0xff), {.batch_bytes_max = 99})), Errc::kTooLarge);
}

/// `header`, and the records of `batch`.
Bytes with_header(const BatchHeader& header, const Bytes& batch) {
  const auto encoded = encode_batch_header(header);
  Bytes bytes(encoded.begin(), encoded.end());
  bytes.insert(bytes.end(), batch.begin() + kBatchHeaderSize, batch.end());
  return bytes;
}

TEST(Patch, AHeaderIsWrittenAsItWasRead) {
  // Every field different, every byte of it, too; attributes that mean nothing yet are kept.
  auto batch = Forged(ten()).i64(0, 0x0102030405060708).i32(12, 0x090a0b0c).i16(21, 0x0f34).i64(27, 0x1112131415161718)
      .i64(35, 0x191a1b1c1d1e1f20).i64(43, 0x2122232425262728).i16(51, 0x292a).i32(53, 0x2b2c2d2e).batch();
  EXPECT_EQ(with_header(*parse_batch_header(batch), batch), batch);
  batch = Forged(ten()).i32(12, -1).i64(27, -1).i64(35, -1).i64(43, -1).i16(51, -1).i32(53, -1).batch();
  EXPECT_EQ(with_header(*parse_batch_header(batch), batch), batch);
}

TEST(Patch, TheHeaderGivesTheBytesThatALogWrites) {
  const auto batch = ten();
  auto placed = *parse_batch_header(batch);
  placed.base_offset = Offset(1ll << 40);
  placed.partition_leader_epoch = LeaderEpoch(77);
  const auto stored = with_header(placed, batch);
  const auto header = validate_stored_batch(stored);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->base_offset, Offset(1ll << 40));
  EXPECT_EQ(header->last_offset(), Offset((1ll << 40) + 9));
  EXPECT_EQ(header->partition_leader_epoch, LeaderEpoch(77));
  EXPECT_EQ(read_all(stored)->front().offset, 1ll << 40);
  auto in_place = batch;
  patch_offset_and_epoch(in_place, Offset(1ll << 40), LeaderEpoch(77));
  EXPECT_EQ(in_place, stored);
}

TEST(Patch, AProducerIsWrittenAsTheBuilderWouldHave) {
  auto patched = batch_of(readings(10), {.compression = Compression::kLz4});
  patch_producer(patched, ProducerId(1ll << 61), ProducerEpoch(3), Sequence(12345));
  EXPECT_EQ(patched, batch_of(readings(10), {.compression = Compression::kLz4,
                                             .producer_id = ProducerId(1ll << 61),
                                             .producer_epoch = ProducerEpoch(3),
                                             .base_sequence = Sequence(12345)}));
  EXPECT_TRUE(validate_batch(patched, {}));
}

TEST(Patch, LogAppendTimeIsWhatEveryRecordHasThen) {
  const auto batch = batch_of(readings(10), {.compression = Compression::kLz4});
  auto header = *parse_batch_header(batch);
  set_log_append_time(header, 1'800'000'000'000);
  header.crc = batch_crc(header, ByteView(batch).subspan(kBatchHeaderSize));
  const auto stamped = with_header(header, batch);
  const auto read = validate_stored_batch(stamped);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(read->compression(), Compression::kLz4);
  EXPECT_EQ(read->max_timestamp_ms, 1'800'000'000'000);
  EXPECT_EQ(read->base_timestamp_ms, readings(1).front().timestamp_ms);
  auto expected = readings(10);
  for (auto& record : expected) record.timestamp_ms = 1'800'000'000'000;
  EXPECT_EQ(*read_all(stamped), expected);
}

TEST(RecordReader, LogAppendTimeOverridesEveryRecordsTimestamp) {
  const auto batch = Forged(ten()).i16(21, 0x08).i64(35, 42).batch();
  const auto records = read_all(batch);
  ASSERT_TRUE(records);
  for (const auto& record : *records) EXPECT_EQ(record.timestamp_ms, 42);
}

TEST(RecordReader, MoreRecordsThanBytesIsRefusedAtOnce) {
  auto huge = Forged(ten()).i32(57, 1 << 30).i32(23, 1 << 30).batch();
  EXPECT_EQ(code_of(RecordReader::open(huge, 1 << 20)), Errc::kCorrupt);
}

TEST(RecordReader, ManyBatchesShareADecompressor) {
  Decompressor decompressor;
  for (int round = 0; round < 3; ++round) {
    for (const auto codec : kAllCodecs) {
      const auto batch = batch_of(readings(100 + round), {.compression = codec});
      auto reader = RecordReader::open(batch, 1 << 20, decompressor);
      ASSERT_TRUE(reader) << reader.error().message;
      RecordView record;
      int count = 0;
      while (reader->next(record).value()) ++count;
      EXPECT_EQ(count, 100 + round);
    }
  }
}

// ---- Several batches -----------------------------------------------------------------------------

Bytes three_batches() {
  Bytes blob;
  for (int i = 0; i < 3; ++i) {
    auto batch = batch_of(readings(3 + i));
    patch_offset_and_epoch(batch, Offset(100 * i), LeaderEpoch(0));
    blob.insert(blob.end(), batch.begin(), batch.end());
  }
  return blob;
}

TEST(BatchIterator, WalksAllBatches) {
  const auto blob = three_batches();
  BatchIterator batches(blob);
  for (int i = 0; i < 3; ++i) {
    const auto batch = batches.next();
    ASSERT_TRUE(batch && *batch);
    EXPECT_EQ((*batch)->header.base_offset, Offset(100 * i));
    EXPECT_EQ(read_all((*batch)->bytes)->size(), static_cast<std::size_t>(3 + i));
  }
  EXPECT_EQ(batches.next().value(), std::nullopt);
  EXPECT_EQ(batches.position(), blob.size());
}

TEST(BatchIterator, EveryCutIsIgnoredInAFetchAndRefusedInAProduce) {
  const auto blob = three_batches();
  const auto first = parse_batch_header(blob)->total_bytes();
  const auto second = parse_batch_header(ByteView(blob).subspan(first))->total_bytes();
  for (std::size_t size = 0; size < blob.size(); ++size) {
    const auto cut = ByteView(blob).first(size);
    const auto whole = size < first ? 0 : size < first + second ? first : first + second;
    BatchIterator tolerant(cut, PartialTail::kIgnore);
    for (;;) {
      const auto batch = tolerant.next();
      ASSERT_TRUE(batch) << size;
      if (!*batch) break;
    }
    EXPECT_EQ(tolerant.position(), whole) << size;
    BatchIterator strict(cut);
    auto batch = strict.next();
    while (batch && *batch) batch = strict.next();
    EXPECT_EQ(batch.has_value(), size == whole) << size;
    EXPECT_EQ(strict.next().value(), std::nullopt) << "after an error it stays at the end";
  }
}

}  // namespace
}  // namespace tributary
