#pragma once
// Files, injected: the storage engine runs on the real file system, and in tests on a simulated one
// that drops unsynced bytes and tears sectors.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"

namespace tributary {

/// An open file. read_at, and write_at on disjoint ranges, may run on several threads at once, and
/// sync_data beside both. truncate may run beside sync_data, and beside reads of what it leaves.
class File {
 public:
  virtual ~File() = default;

  /// Fills `out` from `position`; fewer bytes only at the end of the file. Returns the count.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t position,
                                                    std::span<std::uint8_t> out) const = 0;

  /// Writes all parts one after the other from `position`, extending the file.
  /// If it fails or never returns, any subset of the bytes may be in the file.
  [[nodiscard]] virtual Result<> write_at(std::uint64_t position, std::span<const ByteView> parts) = 0;

  /// fdatasync: when it returns success, all bytes written before the call and the file's size
  /// survive a power cut. After a failure the state of earlier writes is unknown and calling it again
  /// proves nothing: the caller must stop using the file.
  [[nodiscard]] virtual Result<> sync_data() = 0;

  /// If it never returns, the file may have the old or the new size. Durable after sync_data.
  [[nodiscard]] virtual Result<> truncate(std::uint64_t size) = 0;

  [[nodiscard]] virtual Result<std::uint64_t> size() const = 0;

  /// When it was last written to, by the wall clock. Survives a power cut once synced.
  /// kUnsupported where there is no such note.
  [[nodiscard]] virtual Result<WallMs> modified_ms() const {
    return fail(Errc::kUnsupported, "this file does not know when it was written");
  }

  /// Sets that time; the next write renews it. kUnsupported.
  [[nodiscard]] virtual Result<> set_modified_ms(WallMs) {
    return fail(Errc::kUnsupported, "this file does not know when it was written");
  }

  /// The descriptor, for sendfile; -1 where there is none (simulated files).
  [[nodiscard]] virtual int native_handle() const { return -1; }
};

enum class OpenMode {
  kRead,          // must exist
  kReadWrite,     // must exist
  kCreate,        // read and write; created if missing, kept if present
  kTruncate,      // read and write; created if missing, emptied if present
};

/// Of the volume that holds a folder.
struct VolumeSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t usable_bytes = 0;  // that this process could still write; what is kept for root is left out
};

/// Paths use '/'. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  [[nodiscard]] virtual Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) const = 0;

  /// Names (not paths) of a folder's entries, sorted.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& folder) const = 0;

  /// mkdir -p. Durable once sync_directory(parent) has returned.
  [[nodiscard]] virtual Result<> create_directories(const std::string& folder) = 0;

  /// Removes a file or an empty folder. Not durable until sync_directory(parent).
  [[nodiscard]] virtual Result<> remove(const std::string& path) = 0;

  /// Atomic replace. Either name may hold the old or the new content after a crash, never a mix;
  /// durable once sync_directory has returned.
  [[nodiscard]] virtual Result<> rename(const std::string& from, const std::string& to) = 0;

  /// fsync of a folder: creations, removals and renames in it before the call survive a power cut.
  [[nodiscard]] virtual Result<> sync_directory(const std::string& folder) = 0;

  /// Asks the volume, which may take as long as a read of it.
  [[nodiscard]] virtual Result<VolumeSpace> volume_space(const std::string& folder) const = 0;
};

/// The operating system's. Lives for the whole process.
[[nodiscard]] FileSystem& posix_file_system();

/// Removes a folder and all below it; success if it does not exist.
[[nodiscard]] Result<> remove_recursively(FileSystem& fs, const std::string& folder);

/// Replaces a small file: writes `path`.tmp, syncs it, renames it over `path`, syncs the folder.
/// If it never returns, `path` holds the old or the new content, whole.
[[nodiscard]] Result<> write_file_atomically(FileSystem& fs, const std::string& path, ByteView content);

/// The whole file; kTooLarge if it has more than `bytes_max`.
[[nodiscard]] Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::size_t bytes_max);

/// An exclusive lock on `path` (created if missing), held until destroyed or the process ends (flock).
class FolderLock {
 public:
  /// kLocked, naming the folder and the holder's process id, if another process holds it.
  [[nodiscard]] static Result<FolderLock> acquire(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace tributary
