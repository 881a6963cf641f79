#include "tests/unit/server/controlled_file_system.h"

#include <cerrno>

namespace tributary::test {

class ControlledFileSystem::ControlledFile final : public File {
 public:
  ControlledFile(ControlledFileSystem& fs, std::string path, std::shared_ptr<File> real)
      : fs_(fs), path_(std::move(path)), real_(std::move(real)) {}
  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    return real_->read_at(position, out);
  }
  Result<> write_at(std::uint64_t position, std::span<const ByteView> parts) override {
    return real_->write_at(position, parts);
  }
  Result<> sync_data() override {
    RETURN_IF_ERROR(fs_.before_sync(path_));
    return real_->sync_data();
  }
  Result<> truncate(std::uint64_t size) override { return real_->truncate(size); }
  Result<std::uint64_t> size() const override { return real_->size(); }
  Result<WallMs> modified_ms() const override { return real_->modified_ms(); }
  int native_handle() const override { return real_->native_handle(); }

 private:
  ControlledFileSystem& fs_;
  const std::string path_;
  const std::shared_ptr<File> real_;
};

void ControlledFileSystem::hold_syncs(std::string path_part) {
  const std::scoped_lock lock(mutex_);
  held_ = std::move(path_part);
}

void ControlledFileSystem::fail_syncs(std::string path_part) {
  const std::scoped_lock lock(mutex_);
  failing_ = std::move(path_part);
  released_.notify_all();
}

void ControlledFileSystem::release() {
  const std::scoped_lock lock(mutex_);
  held_.clear();
  released_.notify_all();
}

void ControlledFileSystem::refuse_changes(std::string path_part) {
  const std::scoped_lock lock(mutex_);
  refused_ = std::move(path_part);
}

void ControlledFileSystem::set_volume_space(std::optional<Result<VolumeSpace>> space) {
  const std::scoped_lock lock(mutex_);
  space_ = std::move(space);
}

Result<VolumeSpace> ControlledFileSystem::volume_space(const std::string& folder) const {
  const std::scoped_lock lock(mutex_);
  return space_ ? *space_ : real_.volume_space(folder);
}

int ControlledFileSystem::syncs() const {
  const std::scoped_lock lock(mutex_);
  return syncs_;
}

int ControlledFileSystem::held() const {
  const std::scoped_lock lock(mutex_);
  return held_now_;
}

Result<> ControlledFileSystem::before_sync(const std::string& path) {
  const auto matches = [&](const std::string& part) { return !part.empty() && path.find(part) != std::string::npos; };
  std::unique_lock lock(mutex_);
  ++syncs_;
  ++held_now_;
  released_.wait(lock, [&] { return matches(failing_) || !matches(held_); });
  --held_now_;
  if (matches(failing_)) return fail_errno("fdatasync " + path, EIO);
  return {};
}

Result<> ControlledFileSystem::before_change(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  if (refused_.empty() || path.find(refused_) == std::string::npos) return {};
  return fail_errno(path, ENOSPC);
}

Result<> ControlledFileSystem::remove(const std::string& path) {
  RETURN_IF_ERROR(before_change(path));
  return real_.remove(path);
}

Result<> ControlledFileSystem::rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(before_change(from));
  return real_.rename(from, to);
}

Result<std::shared_ptr<File>> ControlledFileSystem::open(const std::string& path, OpenMode mode) {
  if (mode != OpenMode::kRead) RETURN_IF_ERROR(before_change(path));
  ASSIGN_OR_RETURN(auto real, real_.open(path, mode));
  return std::make_shared<ControlledFile>(*this, path, std::move(real));
}

}  // namespace tributary::test
