#include "cluster/storage/batch_scanner.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/bytes/crc32c.h"

namespace tributary {
namespace {
constexpr std::size_t kCrcStart = 21;  // of what the CRC covers, within a batch
}

Result<ByteView> FileWindow::at(std::uint64_t position, std::size_t length) {
  CHECK(length <= buffer_.size(), "window of {} bytes, asked for {}", buffer_.size(), length);
  if (position < start_ || position + length > start_ + filled_) {
    filled_ = 0;
    start_ = position;
    ASSIGN_OR_RETURN(filled_, file_.read_at(position, buffer_));
  }
  const auto available = start_ + filled_ - position;
  return ByteView(buffer_).subspan(position - start_, std::min<std::uint64_t>(length, available));
}

BatchScanner::BatchScanner(const File& file, std::uint64_t position, std::uint64_t end,
                           ScanCheck check, std::size_t window_bytes)
    : window_(file, window_bytes), position_(position), end_(end), check_(check) {
  static_assert(kLookupWindow >= kBatchHeaderSize);
}

Result<std::optional<StoredBatch>> BatchScanner::next() {
  if (position_ >= end_) return std::nullopt;
  const auto left = end_ - position_;
  if (left < kBatchHeaderSize)
    return fail(Errc::kCorrupt, fmt::format("{} bytes left, less than a batch header", left));
  ASSIGN_OR_RETURN(const auto bytes, window_.at(position_, kBatchHeaderSize));
  if (bytes.size() < kBatchHeaderSize)
    return fail(Errc::kCorrupt, "the file ends within a batch header");
  ASSIGN_OR_RETURN(const auto header, parse_batch_header(bytes));
  const StoredBatch batch{header, position_};
  if (batch.end() > end_)
    return fail(Errc::kCorrupt, fmt::format("a batch of {} bytes with only {} bytes left",
                                            header.total_bytes(), left));
  if (check_ == ScanCheck::kCrc) {
    ASSIGN_OR_RETURN(const auto crc, crc_of(position_ + kCrcStart, batch.end()));
    if (crc != header.crc)
      return fail(Errc::kCorrupt,
                  fmt::format("CRC is 0x{:08x}, the batch says 0x{:08x}", crc, header.crc));
  }
  position_ = batch.end();
  return batch;
}

Result<std::uint32_t> BatchScanner::crc_of(std::uint64_t from, std::uint64_t to) {
  std::uint32_t crc = 0;
  while (from < to) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(window_.capacity(), to - from));
    ASSIGN_OR_RETURN(const auto bytes, window_.at(from, length));
    if (bytes.size() < length) return fail(Errc::kCorrupt, "the file ends within a batch");
    crc = crc32c_extend(crc, bytes);
    from += length;
  }
  return crc;
}

}  // namespace tributary
