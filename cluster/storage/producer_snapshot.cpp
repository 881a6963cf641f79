#include "cluster/storage/producer_snapshot.h"

#include "common/bytes/crc32c.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {

constexpr std::int16_t kSnapshotVersion = 1;
constexpr std::size_t kCrcPosition = 2;
constexpr std::size_t kCrcStart = 6;
constexpr std::size_t kKafkaEntryBytes = 46;
constexpr std::int32_t kTag = 0x54524942;  // "TRIB"
constexpr std::int16_t kTagVersion = 1;

void write_batch(ByteWriter& writer, const ProducerBatch& batch) {
  writer.i32(batch.last_sequence.value());
  writer.i64(batch.last_offset.value());
  writer.i32(batch.offset_delta);
  writer.i64(batch.timestamp_ms);
}

/// Nothing if the fields contradict each other.
std::optional<ProducerBatch> read_batch(ByteReader& reader, Offset end_offset) {
  ProducerBatch batch;
  batch.last_sequence = Sequence(reader.i32());
  batch.last_offset = Offset(reader.i64());
  batch.offset_delta = reader.i32();
  batch.timestamp_ms = reader.i64();
  if (!reader.ok() || batch.last_sequence < Sequence(0) || batch.last_offset >= end_offset ||
      batch.offset_delta < 0 || batch.last_offset < Offset(batch.offset_delta))
    return std::nullopt;
  return batch;
}

struct ReadEntry {
  ProducerId id{0};
  ProducerEntry entry;
};

/// Kafka's part of one producer.
std::optional<ReadEntry> read_kafka_entry(ByteReader& reader, Offset end_offset) {
  ReadEntry read;
  read.id = ProducerId(reader.i64());
  read.entry.epoch = ProducerEpoch(reader.i16());
  const auto newest = read_batch(reader, end_offset);
  (void)reader.i32();  // coordinator_epoch
  (void)reader.i64();  // current_txn_first_offset
  if (!newest || !reader.ok() || read.id.value() < 0 || read.entry.epoch.value() < 0)
    return std::nullopt;
  read.entry.batches[0] = *newest;
  read.entry.batch_count = 1;
  read.entry.run_records = newest->offset_delta + 1;
  return read;
}

/// Our part: the batches before the newest one.
bool read_older(ByteReader& reader, Offset end_offset, ProducerEntry& entry) {
  const auto run_records = reader.i32();
  const auto older_count = reader.i8();
  if (!reader.ok() || older_count < 0 ||
      older_count >= static_cast<std::int8_t>(ProducerEntry::kBatchesMax) ||
      run_records < entry.run_records || run_records > ProducerEntry::kRunMax)
    return false;
  const auto newest = entry.newest();
  entry.batch_count = 0;
  for (std::int8_t i = 0; i < older_count; ++i) {
    const auto batch = read_batch(reader, end_offset);
    if (!batch) return false;
    entry.batches[entry.batch_count++] = *batch;
  }
  entry.batches[entry.batch_count++] = newest;
  entry.run_records = run_records;
  for (std::size_t i = 1; i < entry.batch_count; ++i)
    if (entry.batches[i].base_offset() <= entry.batches[i - 1].last_offset) return false;
  return true;
}

Result<std::vector<ReadEntry>> read_entries(ByteReader& reader, Offset end_offset) {
  const auto count = reader.i32();
  if (!reader.ok() || count < 0 || reader.remaining() / kKafkaEntryBytes < static_cast<std::size_t>(count))
    return fail(Errc::kCorrupt, "more producers announced than there are bytes");
  std::vector<ReadEntry> entries;
  entries.reserve(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    auto entry = read_kafka_entry(reader, end_offset);
    if (!entry) return fail(Errc::kCorrupt, fmt::format("producer {} of {} is malformed", i + 1, count));
    entries.push_back(*entry);
  }
  if (reader.remaining() == 0) return entries;
  if (reader.i32() != kTag || reader.i16() != kTagVersion || !reader.ok()) return entries;
  for (auto& read : entries)
    if (!read_older(reader, end_offset, read.entry))
      return fail(Errc::kCorrupt, fmt::format("the older batches of producer {} are malformed", read.id));
  return entries;
}

}  // namespace

Bytes encode_producer_snapshot(const ProducerStates& states) {
  const auto entries = states.sorted();
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(kSnapshotVersion);
  writer.u32(0);
  writer.i32(static_cast<std::int32_t>(entries.size()));
  for (const auto& [id, entry] : entries) {
    writer.i64(id.value());
    writer.i16(entry->epoch.value());
    write_batch(writer, entry->newest());
    writer.i32(-1);
    writer.i64(-1);
  }
  writer.i32(kTag);
  writer.i16(kTagVersion);
  for (const auto& [id, entry] : entries) {
    writer.i32(entry->run_records);
    writer.i8(static_cast<std::int8_t>(entry->batch_count - 1));
    for (const auto& batch : entry->remembered().first(entry->batch_count - 1u))
      write_batch(writer, batch);
  }
  writer.patch_i32(kCrcPosition,
                   static_cast<std::int32_t>(crc32c(ByteView(bytes).subspan(kCrcStart))));
  return bytes;
}

Result<> decode_producer_snapshot(ByteView bytes, Offset end_offset, ProducerStates& states) {
  states.clear();
  ByteReader reader(bytes);
  const auto version = reader.i16();
  const auto crc = reader.u32();
  if (!reader.ok()) return fail(Errc::kCorrupt, "less than a header");
  if (version != kSnapshotVersion)
    return fail(Errc::kUnsupported, fmt::format("version {} instead of {}", version, kSnapshotVersion));
  if (crc != crc32c(bytes.subspan(kCrcStart))) return fail(Errc::kCorrupt, "the CRC does not match");
  ASSIGN_OR_RETURN(const auto entries, read_entries(reader, end_offset));
  for (const auto& [id, entry] : entries) states.restore(id, entry);
  return {};
}

}  // namespace tributary
