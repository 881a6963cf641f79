#pragma once
// A small language for record batch tests: owned records, and the way to and from batches.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/record/batch_builder.h"
#include "common/record/record_reader.h"

namespace tributary {

struct OwnedRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  friend bool operator==(const OwnedRecord&, const OwnedRecord&) = default;
};

inline std::optional<ByteView> view_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}
inline std::optional<std::string> text_of(const std::optional<ByteView>& view) {
  if (!view) return std::nullopt;
  return std::string(as_string_view(*view));
}

inline void append(BatchBuilder& builder, const OwnedRecord& record) {
  std::vector<HeaderView> headers;
  for (const auto& [key, value] : record.headers) headers.push_back({key, view_of(value)});
  builder.append(record.timestamp_ms, view_of(record.key), view_of(record.value), headers);
}

inline Bytes batch_of(const std::vector<OwnedRecord>& records, const BatchOptions& options = {}) {
  BatchBuilder builder;
  for (const auto& record : records) append(builder, record);
  auto batch = builder.finish(options);
  EXPECT_TRUE(batch) << batch.error().message;
  return batch.value_or(Bytes{});
}

inline Result<std::vector<OwnedRecord>> read_all(ByteView batch, std::size_t bytes_max = 16u << 20) {
  ASSIGN_OR_RETURN(auto reader, RecordReader::open(batch, bytes_max));
  std::vector<OwnedRecord> records;
  RecordView record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) return records;
    auto& owned = records.emplace_back(
        OwnedRecord{record.offset.value(), record.timestamp_ms, text_of(record.key), text_of(record.value), {}});
    for (const auto& header : record.headers)
      owned.headers.emplace_back(std::string(header.key), text_of(header.value));
  }
}

/// `count` JSON readings, a millisecond apart.
inline std::vector<OwnedRecord> readings(int count) {
  std::vector<OwnedRecord> records;
  for (int i = 0; i < count; ++i)
    records.push_back({i, 1'700'000'000'000 + i, "sensor-" + std::to_string(i % 7),
                       R"({"seq":)" + std::to_string(i) + R"(,"temperature":21.5,"humidity":40.25})", {}});
  return records;
}

inline constexpr Compression kAllCodecs[] = {Compression::kNone, Compression::kGzip,
                                             Compression::kSnappy, Compression::kLz4,
                                             Compression::kZstd};

}  // namespace tributary
