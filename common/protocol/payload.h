#pragma once
// What goes out on a connection: bytes in memory and ranges of files, in order, never copied together.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/env/file_system.h"

namespace tributary {

/// The bytes [position, position + length) of a file that is at least that long and whose bytes there
/// never change. Holding it keeps the file open, also after its name was removed.
struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;
  std::uint32_t length = 0;
};

/// The bytes of a FileSlice. kCorrupt if the file ends before the slice does. Blocks on the disk.
[[nodiscard]] Result<Bytes> read_slice(const FileSlice& slice);

/// A frame (a request or response without its length prefix) as a list of parts. Cheap to move; a copy
/// shares the bytes and files. Not thread-safe; may be handed to another thread.
class Payload {
 public:
  using Part = std::variant<SharedBytes, FileSlice>;

  Payload() = default;
  explicit Payload(SharedBytes bytes) { append(std::move(bytes)); }
  explicit Payload(Bytes bytes) : Payload(SharedBytes(std::move(bytes))) {}

  /// Empty parts are left out.
  void append(SharedBytes bytes);
  void append(FileSlice slice);
  void append(const Payload& other);

  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] bool empty() const { return size_bytes_ == 0; }
  [[nodiscard]] bool has_file_slices() const { return file_slices_ > 0; }

  /// All parts as one byte string; file slices are read, which blocks on the disk.
  [[nodiscard]] Result<Bytes> flatten() const;

 private:
  std::vector<Part> parts_;
  std::size_t size_bytes_ = 0;
  std::size_t file_slices_ = 0;
};

}  // namespace tributary
