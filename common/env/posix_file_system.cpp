#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/env/file_system.h"

namespace tributary {
namespace {

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(descriptor_); }

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto n = ::pread(descriptor_, out.data() + done, out.size() - done,
                             static_cast<off_t>(position + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("cannot read " + path_);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<> write_at(std::uint64_t position, std::span<const ByteView> parts) override {
    constexpr std::size_t kPartsMax = 64;
    std::array<iovec, kPartsMax> vectors;
    std::size_t part = 0, part_done = 0;  // parts before `part` are written, and part_done bytes of it
    while (part < parts.size()) {
      std::size_t count = 0;
      for (std::size_t i = part; i < parts.size() && count < kPartsMax; ++i, ++count) {
        const auto rest = parts[i].subspan(i == part ? part_done : 0);
        vectors[count] = {const_cast<std::uint8_t*>(rest.data()), rest.size()};
      }
      auto n = ::pwritev(descriptor_, vectors.data(), static_cast<int>(count),
                         static_cast<off_t>(position));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("cannot write " + path_);
      position += static_cast<std::uint64_t>(n);
      while (part < parts.size()) {
        const auto rest = parts[part].size() - part_done;
        if (static_cast<std::size_t>(n) < rest) {
          part_done += static_cast<std::size_t>(n);
          break;
        }
        n -= static_cast<ssize_t>(rest);
        ++part;
        part_done = 0;
      }
    }
    return {};
  }

  Result<> sync_data() override {
    // Not retried on EINTR either: after any failure the caller must stop using the file.
    if (::fdatasync(descriptor_) != 0) return fail_errno("cannot sync " + path_);
    return {};
  }

  Result<> truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
      return fail_errno("cannot truncate " + path_);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return fail_errno("cannot stat " + path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<WallMs> modified_ms() const override {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return fail_errno("cannot stat " + path_);
    return WallMs{status.st_mtim.tv_sec} * 1000 + status.st_mtim.tv_nsec / 1'000'000;
  }

  Result<> set_modified_ms(WallMs time_ms) override {
    const auto seconds = time_ms / 1000, rest = time_ms % 1000;
    const timespec times[2] = {{0, UTIME_OMIT}, {seconds, rest * 1'000'000}};
    if (::futimens(descriptor_, times) != 0) return fail_errno("cannot set the time of " + path_);
    return {};
  }

  int native_handle() const override { return descriptor_; }

 private:
  const int descriptor_;
  const std::string path_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kReadWrite: return O_RDWR;
    case OpenMode::kCreate: return O_RDWR | O_CREAT;
    case OpenMode::kTruncate: return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const int descriptor = ::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0644);
    if (descriptor < 0) return fail_errno("cannot open " + path);
    return std::make_shared<PosixFile>(descriptor, path);
  }

  bool exists(const std::string& path) const override { return ::access(path.c_str(), F_OK) == 0; }

  Result<std::vector<std::string>> list(const std::string& folder) const override {
    DIR* stream = ::opendir(folder.c_str());
    if (stream == nullptr) return fail_errno("cannot list " + folder);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error_number = errno;
    ::closedir(stream);
    if (error_number != 0) return fail_errno("cannot list " + folder, error_number);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<> create_directories(const std::string& folder) override {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail_errno("cannot create folder " + folder, error.value());
    return {};
  }

  Result<> remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return fail_errno("cannot remove " + path);
    return {};
  }

  Result<> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      return fail_errno("cannot rename " + from + " to " + to);
    return {};
  }

  Result<> sync_directory(const std::string& folder) override {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return fail_errno("cannot open folder " + folder);
    const int status = ::fsync(descriptor);
    const int error_number = errno;
    ::close(descriptor);
    if (status != 0) return fail_errno("cannot sync folder " + folder, error_number);
    return {};
  }

  Result<VolumeSpace> volume_space(const std::string& folder) const override {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) != 0) return fail_errno("cannot stat " + folder);
    const std::uint64_t block = status.f_frsize;
    return VolumeSpace{.total_bytes = status.f_blocks * block, .usable_bytes = status.f_bavail * block};
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

}  // namespace tributary
