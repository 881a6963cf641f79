#include "common/record/record_batch.h"

#include <cstring>
#include <limits>

#include "common/base/check.h"
#include "common/bytes/crc32c.h"
#include "common/bytes/reader.h"
#include "common/record/record_reader.h"

namespace tributary {
namespace {
constexpr std::size_t kEpochAt = 12, kMagicAt = 16, kCrcAt = 17, kAttributesAt = 21;
constexpr std::size_t kLastOffsetDeltaAt = 23, kBaseTimestampAt = 27, kMaxTimestampAt = 35;
constexpr std::size_t kProducerIdAt = 43, kProducerEpochAt = 51, kBaseSequenceAt = 53, kRecordCountAt = 57;
static_assert(kBatchPrefixSize == kMagicAt && kEpochAt == kBatchLengthEnd);
static_assert(kRecordCountAt + 4 == kBatchHeaderSize);
constexpr std::int32_t kBatchLengthMin = kBatchHeaderSize - kBatchLengthEnd;
constexpr std::int8_t kMagic = 2;
constexpr std::int16_t kLogAppendTimeBit = 8;

template <class... Args>
tl::unexpected<Error> corrupt(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Errc::kCorrupt, "record batch: " + fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
tl::unexpected<Error> refused(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Errc::kInvalidArgument,
              "record batch: " + fmt::format(format, std::forward<Args>(args)...));
}

void put_u16(std::uint8_t* at, std::uint16_t value) {
  const auto swapped = __builtin_bswap16(value);
  std::memcpy(at, &swapped, sizeof swapped);
}
void put_u32(std::uint8_t* at, std::uint32_t value) {
  const auto swapped = __builtin_bswap32(value);
  std::memcpy(at, &swapped, sizeof swapped);
}
void put_u64(std::uint8_t* at, std::uint64_t value) {
  const auto swapped = __builtin_bswap64(value);
  std::memcpy(at, &swapped, sizeof swapped);
}

BatchHeader read_fields(ByteView view) {
  ByteReader reader(view.first(kBatchHeaderSize));
  BatchHeader header;
  header.base_offset = Offset(reader.i64());
  header.batch_length = reader.i32();
  header.partition_leader_epoch = LeaderEpoch(reader.i32());
  reader.skip(1);  // magic
  header.crc = reader.u32();
  header.attributes = reader.i16();
  header.last_offset_delta = reader.i32();
  header.base_timestamp_ms = reader.i64();
  header.max_timestamp_ms = reader.i64();
  header.producer_id = ProducerId(reader.i64());
  header.producer_epoch = ProducerEpoch(reader.i16());
  header.base_sequence = Sequence(reader.i32());
  header.record_count = reader.i32();
  return header;
}

Result<> check_producer_rules(const BatchHeader& header) {
  if (header.record_count < 1) return corrupt("no records");
  if (header.last_offset_delta != header.record_count - 1)
    return corrupt("{} records, but the last offset delta is {}", header.record_count,
                   header.last_offset_delta);
  if (header.control()) return refused("control batches are the broker's to write");
  if (header.delete_horizon_ms()) return refused("a delete horizon is the broker's to set");
  if (header.timestamp_type() != TimestampType::kCreateTime)
    return fail(Errc::kInvalidTimestamp, "record batch: log append time is the broker's to set");
  // Without a producer id the other two mean nothing: kafkajs sends 0.
  const bool none = header.producer_id == kNoProducerId;
  const bool all = header.producer_id.value() >= 0 && header.producer_epoch.value() >= 0 &&
                   header.base_sequence.value() >= 0;
  if (!none && !all)
    return refused("producer id {}, epoch {}, base sequence {} do not go together",
                   header.producer_id, header.producer_epoch, header.base_sequence);
  if (none && header.transactional()) return refused("transactional, but without a producer id");
  return {};
}

/// Every record, and its offset delta: as many as the header says and strictly ascending within
/// [0, last_offset_delta] (which the reader checks) means 0, 1, 2 ...
Result<> check_records(ByteView batch, const BatchLimits& limits, RefusedRecords& bad) {
  ASSIGN_OR_RETURN(auto reader, RecordReader::open(batch, limits.decompressed_bytes_max));
  RecordView record;
  for (std::int32_t number = 0;; ++number) {
    const auto more = reader.next(record);
    if (!more) {
      if (number < reader.header().record_count) bad.add(number, [&] { return more.error().message; });
      return tl::unexpected<Error>(more.error());
    }
    if (!*more) break;
    if (limits.keys_required && !record.key)
      bad.add(number, [] { return std::string("it has no key, which a compacted topic needs"); });
  }
  if (bad.count == 0) return {};
  return refused("{} of {} records have no key, which a compacted topic needs; the first is record {}", bad.count,
                 reader.header().record_count, bad.named.front().number);
}

}  // namespace

Result<BatchHeader> parse_batch_header(ByteView view) {
  if (view.size() < kBatchHeaderSize)
    return corrupt("{} bytes, a header has {}", view.size(), kBatchHeaderSize);
  const auto magic = static_cast<std::int8_t>(view[kMagicAt]);
  if (magic == 0 || magic == 1)
    return fail(Errc::kUnsupported,
                fmt::format("record batch: message format {} is from before Kafka 0.11; format 2 is "
                            "needed", magic));
  if (magic != kMagic) return corrupt("magic {}, not {}", magic, kMagic);
  const auto header = read_fields(view);
  if (header.batch_length < kBatchLengthMin)
    return corrupt("length {}, at least {}", header.batch_length, kBatchLengthMin);
  if (header.record_count < 0) return corrupt("{} records", header.record_count);
  if (header.last_offset_delta < 0) return corrupt("last offset delta {}", header.last_offset_delta);
  // A compacted batch may hold fewer records than offsets, never more.
  if (header.record_count > static_cast<std::int64_t>(header.last_offset_delta) + 1)
    return corrupt("{} records, but the last offset delta is {}", header.record_count,
                   header.last_offset_delta);
  constexpr auto kOffsetMax = std::numeric_limits<std::int64_t>::max();
  const auto base = header.base_offset.value();
  if (base < 0 || base > kOffsetMax - header.last_offset_delta - 1) return corrupt("base offset {}", base);
  if (header.compression() > Compression::kZstd)
    return corrupt("unknown codec {}", static_cast<int>(header.compression()));
  return header;
}

Result<BatchHeader> validate_stored_batch(ByteView batch) {
  ASSIGN_OR_RETURN(const auto header, parse_batch_header(batch));
  if (batch.size() != header.total_bytes())
    return corrupt("{} bytes, but its length says {}", batch.size(), header.total_bytes());
  const auto crc = crc32c(batch.subspan(kAttributesAt));
  if (crc != header.crc) return corrupt("CRC-32C is {:08x}, the header says {:08x}", crc, header.crc);
  return header;
}

Error as_made(Error error) {
  if (error.code == Errc::kCorrupt) error.code = Errc::kInvalidArgument;
  return error;
}

Result<BatchHeader> validate_batch(ByteView batch, const BatchLimits& limits, RefusedRecords* refused_records) {
  if (batch.size() > limits.batch_bytes_max)
    return fail(Errc::kTooLarge, fmt::format("record batch: {} bytes, at most {} are allowed (max.message.bytes)",
                                             batch.size(), limits.batch_bytes_max));
  ASSIGN_OR_RETURN(const auto header, validate_stored_batch(batch));
  RETURN_IF_ERROR(check_producer_rules(header).map_error(as_made));
  // A count that is not checked below would still be believed: offsets are counted by it.
  if (static_cast<std::size_t>(header.record_count) > limits.decompressed_bytes_max / kRecordBytesMin)
    return refused("{} records do not fit in {} bytes", header.record_count, limits.decompressed_bytes_max);
  if (limits.record_check == RecordCheck::kAll || limits.keys_required ||
      (limits.record_check == RecordCheck::kIfUncompressed &&
       header.compression() == Compression::kNone)) {
    RefusedRecords unasked;
    RETURN_IF_ERROR(check_records(batch, limits, refused_records ? *refused_records : unasked).map_error(as_made));
  }
  return header;
}

// ---- Patches -------------------------------------------------------------------------------------

std::array<std::uint8_t, kBatchHeaderSize> encode_batch_header(const BatchHeader& header) {
  std::array<std::uint8_t, kBatchHeaderSize> bytes;
  auto* const at = bytes.data();
  put_u64(at, static_cast<std::uint64_t>(header.base_offset.value()));
  put_u32(at + kBatchLengthEnd - 4, static_cast<std::uint32_t>(header.batch_length));
  put_u32(at + kEpochAt, static_cast<std::uint32_t>(header.partition_leader_epoch.value()));
  at[kMagicAt] = kMagic;
  put_u32(at + kCrcAt, header.crc);
  put_u16(at + kAttributesAt, static_cast<std::uint16_t>(header.attributes));
  put_u32(at + kLastOffsetDeltaAt, static_cast<std::uint32_t>(header.last_offset_delta));
  put_u64(at + kBaseTimestampAt, static_cast<std::uint64_t>(header.base_timestamp_ms));
  put_u64(at + kMaxTimestampAt, static_cast<std::uint64_t>(header.max_timestamp_ms));
  put_u64(at + kProducerIdAt, static_cast<std::uint64_t>(header.producer_id.value()));
  put_u16(at + kProducerEpochAt, static_cast<std::uint16_t>(header.producer_epoch.value()));
  put_u32(at + kBaseSequenceAt, static_cast<std::uint32_t>(header.base_sequence.value()));
  put_u32(at + kRecordCountAt, static_cast<std::uint32_t>(header.record_count));
  return bytes;
}

std::uint32_t batch_crc(const BatchHeader& header, ByteView records) {
  const auto bytes = encode_batch_header(header);
  return crc32c_extend(crc32c(ByteView(bytes).subspan(kAttributesAt)), records);
}

void set_log_append_time(BatchHeader& header, std::int64_t time_ms) {
  header.attributes |= kLogAppendTimeBit;
  header.max_timestamp_ms = time_ms;
}

void patch_offset_and_epoch(std::span<std::uint8_t> batch, Offset base_offset, LeaderEpoch epoch) {
  CHECK(batch.size() >= kBatchPrefixSize, "{} bytes >= {}", batch.size(), kBatchPrefixSize);
  put_u64(batch.data(), static_cast<std::uint64_t>(base_offset.value()));
  put_u32(batch.data() + kEpochAt, static_cast<std::uint32_t>(epoch.value()));
}

void patch_producer(std::span<std::uint8_t> batch, ProducerId id, ProducerEpoch epoch,
                    Sequence base_sequence) {
  CHECK(batch.size() >= kBatchHeaderSize, "{} bytes >= {}", batch.size(), kBatchHeaderSize);
  put_u64(batch.data() + kProducerIdAt, static_cast<std::uint64_t>(id.value()));
  put_u16(batch.data() + kProducerEpochAt, static_cast<std::uint16_t>(epoch.value()));
  put_u32(batch.data() + kBaseSequenceAt, static_cast<std::uint32_t>(base_sequence.value()));
  put_u32(batch.data() + kCrcAt, crc32c(batch.subspan(kAttributesAt)));
}

// ---- Several batches -----------------------------------------------------------------------------

Result<std::optional<BatchView>> BatchIterator::next() {
  if (failed_ || position_ == records_.size()) return std::nullopt;
  const auto rest = records_.subspan(position_);
  if (rest.size() < kBatchHeaderSize && tail_ == PartialTail::kIgnore) return std::nullopt;
  auto header = parse_batch_header(rest);
  if (!header) {
    failed_ = true;
    return in_context(fmt::format("at byte {}", position_), std::move(header).error());
  }
  if (header->total_bytes() > rest.size()) {
    if (tail_ == PartialTail::kIgnore) return std::nullopt;
    failed_ = true;
    return corrupt("at byte {}: {} bytes, only {} are there", position_, header->total_bytes(),
                   rest.size());
  }
  position_ += header->total_bytes();
  return BatchView{*header, rest.first(header->total_bytes())};
}

}  // namespace tributary
