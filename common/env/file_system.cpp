#include "common/env/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <utility>

namespace tributary {
namespace {
std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
}  // namespace

Result<> remove_recursively(FileSystem& fs, const std::string& folder) {
  if (!fs.exists(folder)) return {};
  ASSIGN_OR_RETURN(const auto names, fs.list(folder));
  for (const auto& name : names) {
    const auto path = folder + "/" + name;
    if (fs.list(path)) {
      RETURN_IF_ERROR(remove_recursively(fs, path));
    } else {
      RETURN_IF_ERROR(fs.remove(path));
    }
  }
  return fs.remove(folder);
}

Result<> write_file_atomically(FileSystem& fs, const std::string& path, ByteView content) {
  const auto temporary = path + ".tmp";
  {
    ASSIGN_OR_RETURN(const auto file, fs.open(temporary, OpenMode::kTruncate));
    const std::array parts{content};
    RETURN_IF_ERROR(file->write_at(0, parts));
    RETURN_IF_ERROR(file->sync_data());
  }
  RETURN_IF_ERROR(fs.rename(temporary, path));
  return fs.sync_directory(parent_of(path));
}

Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::size_t bytes_max) {
  ASSIGN_OR_RETURN(const auto file, fs.open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const auto size, file->size());
  if (size > bytes_max)
    return fail(Errc::kTooLarge, fmt::format("{} has {} bytes, more than {}", path, size, bytes_max));
  Bytes content(size);
  ASSIGN_OR_RETURN(const auto count, file->read_at(0, content));
  content.resize(count);
  return content;
}

Result<FolderLock> FolderLock::acquire(const std::string& folder) {
  const auto path = folder + "/.lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return fail_errno("cannot open " + path);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error_number = errno;
    std::array<char, 32> holder{};
    const auto n = ::pread(descriptor, holder.data(), holder.size() - 1, 0);
    ::close(descriptor);
    if (error_number != EWOULDBLOCK) return fail_errno("cannot lock " + path, error_number);
    return fail(Errc::kLocked,
                fmt::format("{} is in use by another process (pid {}); stop it or choose another folder",
                            folder, n > 0 ? holder.data() : "unknown"));
  }
  const auto pid = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // The id only helps the message above; the lock itself holds (a full disk gets here).
  }
  return FolderLock(descriptor);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace tributary
