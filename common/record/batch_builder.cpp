#include "common/record/batch_builder.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/record/record_writer.h"

namespace tributary {
namespace {
constexpr std::size_t kBatchBytesMax = 1u << 30;
}  // namespace

void BatchBuilder::append(std::int64_t timestamp_ms, std::optional<ByteView> key,
                          std::optional<ByteView> value, std::span<const HeaderView> headers) {
  const auto bytes_max = tributary::record_bytes_max(key, value, headers);
  CHECK(bytes_max <= kBatchBytesMax - records_.size(), "a batch of {} + {} bytes <= 1 GiB",
        records_.size(), bytes_max);
  if (record_count_ == 0) base_timestamp_ms_ = max_timestamp_ms_ = timestamp_ms;
  max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);
  append_record(records_, wrapping_difference(timestamp_ms, base_timestamp_ms_), record_count_, key, value, headers);
  ++record_count_;
}

Result<Bytes> BatchBuilder::finish(const BatchOptions& options) {
  if (!own_compressor_) own_compressor_.emplace();
  return finish(options, *own_compressor_);
}

Result<Bytes> BatchBuilder::finish(const BatchOptions& options, Compressor& compressor) {
  CHECK(record_count_ > 0, "a batch has a record");
  BatchHeader header;
  header.last_offset_delta = record_count_ - 1;
  header.base_timestamp_ms = base_timestamp_ms_;
  header.max_timestamp_ms = max_timestamp_ms_;
  header.producer_id = options.producer_id;
  header.producer_epoch = options.producer_epoch;
  header.base_sequence = options.base_sequence;
  header.record_count = record_count_;
  ASSIGN_OR_RETURN(auto batch, compress_batch(header, records_, options.compression, options.level, compressor, scratch_));
  clear();
  return batch;
}

void BatchBuilder::clear() {
  // One huge batch must not keep its memory for ever.
  constexpr std::size_t kKeptBytesMax = 2u << 20;
  if (records_.capacity() > kKeptBytesMax) Bytes().swap(records_);
  if (scratch_.capacity() > kKeptBytesMax) Bytes().swap(scratch_);
  records_.clear();
  scratch_.clear();
  record_count_ = 0;
}

}  // namespace tributary
