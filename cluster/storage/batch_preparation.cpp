#include "cluster/storage/batch_preparation.h"

#include <algorithm>
#include <limits>

#include "common/record/recompress.h"
#include "common/record/record_reader.h"

namespace tributary {
namespace {

/// Inclusive, both.
struct TimeWindow {
  std::int64_t from_ms;
  std::int64_t to_ms;
  [[nodiscard]] bool holds(std::int64_t timestamp_ms) const {
    return timestamp_ms == kNoTimestamp || (timestamp_ms >= from_ms && timestamp_ms <= to_ms);
  }
};

constexpr auto kTimeMax = std::numeric_limits<std::int64_t>::max();

TimeWindow window_of(const LogConfig& config, WallMs now_ms) {
  now_ms = std::max<WallMs>(now_ms, 0);  // no sum below overflows
  const auto before = config.timestamp_before_ms_max, after = config.timestamp_after_ms_max;
  return {before == kTimeMax ? std::numeric_limits<std::int64_t>::min() : now_ms - before,
          after > kTimeMax - now_ms ? kTimeMax : now_ms + after};
}

std::string asked_by(const TimeWindow& window) {
  return fmt::format("[{}, {}], as message.timestamp.before.max.ms and message.timestamp.after.max.ms ask",
                     window.from_ms, window.to_ms);
}

}  // namespace

Result<> check_timestamps(ByteView batch, const LogConfig& config, WallMs now_ms, RefusedRecords* refused) {
  const bool limited = config.timestamp_before_ms_max != kTimeMax || config.timestamp_after_ms_max != kTimeMax;
  if (!limited || config.timestamp_type == TimestampType::kLogAppendTime) return {};
  const auto window = window_of(config, now_ms);
  RefusedRecords unasked;
  auto& bad = refused ? *refused : unasked;
  ASSIGN_OR_RETURN(auto reader, RecordReader::open(batch, config.limits.decompressed_bytes_max));
  const auto& header = reader.header();
  RecordView record;
  for (std::int32_t number = 0;; ++number) {
    ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) break;
    if (!window.holds(record.timestamp_ms))
      bad.add(number, [&] { return fmt::format("its time {} is not within {}", record.timestamp_ms, asked_by(window)); });
  }
  if (bad.count > 0) {
    const auto& first = bad.named.front();
    return fail(Errc::kInvalidTimestamp, fmt::format("the times of {} of {} records are out of range; the first is record {}: {}",
                                                     bad.count, header.record_count, first.number, first.why));
  }
  // The time index and retention go by it, whatever the records say.
  if (!window.holds(header.max_timestamp_ms))
    return fail(Errc::kInvalidTimestamp, fmt::format("the batch: its time {} is not within {}", header.max_timestamp_ms, asked_by(window)));
  return {};
}

Result<PreparedBatch> prepare_batch(const BatchHeader& placed, ByteView batch, const LogConfig& config, WallMs now_ms) {
  PreparedBatch prepared{placed, {}, batch.subspan(kBatchHeaderSize), nullptr};
  auto& header = prepared.header;
  const bool stamped = config.timestamp_type == TimestampType::kLogAppendTime;
  const bool recompressed = config.compression && *config.compression != header.compression();
  if (recompressed) {
    const auto& limits = config.limits;
    // What is stored plainly must fit plainly: no more is unpacked for it.
    const auto plain_max = *config.compression == Compression::kNone
                               ? std::min(limits.batch_bytes_max, limits.decompressed_bytes_max)
                               : limits.decompressed_bytes_max;
    ASSIGN_OR_RETURN(auto other, recompress(batch, *config.compression, config.levels.of(*config.compression), plain_max));
    header.attributes = other.header.attributes;
    header.batch_length = other.header.batch_length;
    if (header.total_bytes() > limits.batch_bytes_max)
      return fail(Errc::kTooLarge,
                  fmt::format("record batch: {} bytes with {} (compression.type), at most {} are allowed",
                              header.total_bytes(), name_of(*config.compression), limits.batch_bytes_max));
    prepared.own_records = std::make_shared<const Bytes>(std::move(other.records));
    prepared.records = *prepared.own_records;
  }
  if (stamped) set_log_append_time(header, now_ms);
  if (stamped || recompressed) header.crc = batch_crc(header, prepared.records);
  prepared.head = encode_batch_header(header);
  return prepared;
}

}  // namespace tributary
