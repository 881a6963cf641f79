#include "common/record/record_reader.h"

#include "common/bytes/reader.h"

namespace tributary {
namespace {

/// A varint length of which -1 means null. False if it is malformed or longer than what is left.
bool read_nullable(ByteReader& reader, std::optional<ByteView>& out) {
  const auto length = reader.varint();
  if (!reader.ok() || length < -1) return false;
  if (length < 0) {
    out.reset();
    return true;
  }
  out = reader.bytes(static_cast<std::size_t>(length));
  return reader.ok();
}

/// Timestamps come from anyone: the sum may wrap, but is never undefined.
std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}


}  // namespace

Result<RecordReader> RecordReader::open(ByteView batch, std::size_t decompressed_bytes_max) {
  auto own = std::make_unique<Decompressor>();
  ASSIGN_OR_RETURN(auto reader, open(batch, decompressed_bytes_max, *own));
  reader.own_decompressor_ = std::move(own);
  return reader;
}

Result<RecordReader> RecordReader::open(ByteView batch, std::size_t decompressed_bytes_max,
                                        Decompressor& decompressor) {
  ASSIGN_OR_RETURN(const auto header, parse_batch_header(batch));
  if (batch.size() != header.total_bytes())
    return fail(Errc::kCorrupt, fmt::format("record batch: {} bytes, but its length says {}",
                                            batch.size(), header.total_bytes()));
  auto records = batch.subspan(kBatchHeaderSize);
  if (header.compression() != Compression::kNone) {
    auto plain = decompressor.decompress(header.compression(), records, decompressed_bytes_max);
    if (!plain) return in_context("record batch", std::move(plain).error());
    records = *plain;
  }
  if (static_cast<std::size_t>(header.record_count) > records.size() / kRecordBytesMin)
    return fail(Errc::kCorrupt, fmt::format("record batch: {} records cannot be in {} bytes",
                                            header.record_count, records.size()));
  return RecordReader(header, records);
}

Result<bool> RecordReader::next(RecordView& record) {
  const auto corrupt = [&](const char* what) {
    return fail(Errc::kCorrupt, fmt::format("record batch at offset {}, record {}: {}",
                                            header_.base_offset, records_read_, what));
  };
  ByteReader reader(records_.subspan(position_));
  if (records_read_ == header_.record_count) {
    if (reader.remaining() > 0) return corrupt("bytes after the last record");
    return false;
  }
  const auto length = reader.varint();
  if (!reader.ok() || length < 0) return corrupt("malformed length");
  const auto body = reader.bytes(static_cast<std::size_t>(length));
  if (!reader.ok()) return corrupt("truncated");
  if (const char* const error = parse_one(body, record)) return corrupt(error);
  position_ += reader.position();
  ++records_read_;
  return true;
}

const char* RecordReader::parse_one(ByteView body, RecordView& record) {
  ByteReader reader(body);
  reader.skip(1);  // attributes: none defined
  const auto timestamp_delta = reader.varlong();
  const auto offset_delta = reader.varint();
  if (!reader.ok()) return "truncated";
  if (offset_delta <= last_delta_ || offset_delta > header_.last_offset_delta)
    return "its offset delta is out of order";
  if (!read_nullable(reader, record.key)) return "malformed key";
  if (!read_nullable(reader, record.value)) return "malformed value";
  const auto header_count = reader.varint();
  // A header has at least two bytes: its key's and its value's length.
  if (!reader.ok() || header_count < 0 ||
      static_cast<std::size_t>(header_count) > reader.remaining() / 2)
    return "malformed header count";
  headers_.clear();
  for (std::int32_t i = 0; i < header_count; ++i) {
    std::optional<ByteView> key;
    HeaderView header;
    if (!read_nullable(reader, key) || !key || !read_nullable(reader, header.value))
      return "malformed header";
    header.key = as_string_view(*key);
    headers_.push_back(header);
  }
  if (reader.remaining() > 0) return "bytes left over";
  last_delta_ = offset_delta;
  record.offset = header_.base_offset + offset_delta;
  record.timestamp_ms = header_.timestamp_type() == TimestampType::kLogAppendTime
                            ? header_.max_timestamp_ms
                            : wrapping_add(header_.base_timestamp_ms, timestamp_delta);
  record.headers = headers_;
  return nullptr;
}

}  // namespace tributary
