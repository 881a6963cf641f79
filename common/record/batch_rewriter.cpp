#include "common/record/batch_rewriter.h"

#include <algorithm>

namespace tributary {

void BatchRewriter::begin(const BatchHeader& header, std::optional<std::int64_t> delete_horizon_ms) {
  header_ = header;
  header_.record_count = 0;
  former_max_ms_ = header.max_timestamp_ms;
  if (header.timestamp_type() == TimestampType::kCreateTime) header_.max_timestamp_ms = kNoTimestamp;
  if (delete_horizon_ms) {
    header_.attributes |= BatchHeader::kDeleteHorizon;
    header_.base_timestamp_ms = *delete_horizon_ms;
  }
  records_.clear();
}

void BatchRewriter::keep(const RecordView& record) {
  append_record(records_, wrapping_difference(record.timestamp_ms, header_.base_timestamp_ms),
                static_cast<std::int32_t>(record.offset - header_.base_offset), record.key, record.value,
                record.headers);
  ++header_.record_count;
  if (header_.timestamp_type() == TimestampType::kCreateTime)
    header_.max_timestamp_ms = std::max(header_.max_timestamp_ms, record.timestamp_ms);
}

Result<Bytes> BatchRewriter::finish(Compressor& compressor) {
  if (header_.record_count > 0)
    return compress_batch(header_, records_, header_.compression(), std::nullopt, compressor, scratch_);
  header_.attributes = static_cast<std::int16_t>(header_.attributes & ~7 & ~BatchHeader::kDeleteHorizon);
  header_.base_timestamp_ms = header_.max_timestamp_ms = former_max_ms_;
  return assemble_batch(header_, {});
}

}  // namespace tributary
