#pragma once
// The real file system, with a hand on its syncs and its space.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "common/env/file_system.h"

namespace tributary::test {

/// Everything goes to the disk. Syncs of files whose path contains a given text can be held back or
/// made to fail, and changes made to be refused. Thread-safe.
class ControlledFileSystem final : public FileSystem {
 public:
  /// Syncs of matching files block until released.
  void hold_syncs(std::string path_part);
  /// Matching files fail with EIO from now on, also those that are being held.
  void fail_syncs(std::string path_part);
  void release();
  /// Opening for writing, renaming and removing matching paths fails with ENOSPC from now on.
  void refuse_changes(std::string path_part);
  /// What volume_space gives from now on; nothing: the real one's.
  void set_volume_space(std::optional<Result<VolumeSpace>> space);

  [[nodiscard]] int syncs() const;  // begun, of all files
  [[nodiscard]] int held() const;   // blocked now

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override;
  bool exists(const std::string& path) const override { return real_.exists(path); }
  Result<std::vector<std::string>> list(const std::string& folder) const override { return real_.list(folder); }
  Result<> create_directories(const std::string& folder) override { return real_.create_directories(folder); }
  Result<> remove(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> sync_directory(const std::string& folder) override { return real_.sync_directory(folder); }
  Result<VolumeSpace> volume_space(const std::string& folder) const override;

 private:
  class ControlledFile;
  Result<> before_sync(const std::string& path);
  Result<> before_change(const std::string& path) const;

  FileSystem& real_ = posix_file_system();
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::string held_;     // under mutex_; empty: none
  std::string failing_;  // under mutex_; empty: none
  std::string refused_;  // under mutex_; empty: none
  std::optional<Result<VolumeSpace>> space_;  // under mutex_
  int syncs_ = 0;        // under mutex_
  int held_now_ = 0;     // under mutex_
};

}  // namespace tributary::test
