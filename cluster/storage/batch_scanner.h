#pragma once
// Walks the batches of a segment file, with bounded memory.

#include <cstdint>
#include <optional>

#include "common/env/file_system.h"
#include "common/record/record_batch.h"

namespace tributary {

/// Reads a file through one buffer, so that neighbouring small reads cost one system call.
class FileWindow {
 public:
  FileWindow(const File& file, std::size_t capacity_bytes) : file_(file), buffer_(capacity_bytes) {}

  /// Up to `length` (at most the capacity) bytes from `position`; fewer only at the end of the file.
  /// Valid until the next call.
  [[nodiscard]] Result<ByteView> at(std::uint64_t position, std::size_t length);
  [[nodiscard]] std::size_t capacity() const { return buffer_.size(); }

 private:
  const File& file_;
  Bytes buffer_;
  std::uint64_t start_ = 0;
  std::size_t filled_ = 0;
};

struct StoredBatch {
  BatchHeader header;
  std::uint64_t position = 0;  // of its first byte in the file

  [[nodiscard]] std::uint64_t end() const { return position + header.total_bytes(); }
};

enum class ScanCheck {
  kHeaders,  // header and length
  kCrc,      // and every byte, by CRC-32C
};

/// Memory is bounded by the window, whatever length a batch claims. `file` must outlive it.
class BatchScanner {
 public:
  static constexpr std::size_t kLookupWindow = 8u << 10;    // a few headers around an index entry
  static constexpr std::size_t kRecoveryWindow = 512u << 10;

  /// Batches in [position, end) of the file.
  BatchScanner(const File& file, std::uint64_t position, std::uint64_t end, ScanCheck check,
               std::size_t window_bytes = kLookupWindow);

  /// The next batch; nothing at `end`. kIo if the disk refuses; anything else says why the bytes at
  /// position() are no whole batch (the caller names the file). After an error it must not be used on.
  [[nodiscard]] Result<std::optional<StoredBatch>> next();

  /// Where the next batch starts: all before it was checked.
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  [[nodiscard]] Result<std::uint32_t> crc_of(std::uint64_t from, std::uint64_t to);

  FileWindow window_;
  std::uint64_t position_;
  const std::uint64_t end_;
  const ScanCheck check_;
};

}  // namespace tributary
