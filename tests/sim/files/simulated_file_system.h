#pragma once
// Files in memory, with a page cache that a power cut takes away.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/env/file_system.h"
#include "common/env/random.h"

namespace tributary::sim {

/// What the simulated disk does:
/// - a write reaches the page cache; sync_data makes bytes and size durable;
/// - after a power cut, each 512-byte sector written since holds its old content, any of its newer
///   ones, or a torn mix of two, independently of the others; the size is any one it has had since;
/// - creations, renames and removals are durable after sync_directory of the parent; before, each may
///   have happened or not (a rename wholly);
/// - after a failed sync_data the written sectors are in doubt for good: a later sync does not help
///   them, unless they are written again.
/// One thread at a time.
class SimulatedFileSystem final : public FileSystem {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  enum class Operation { kWrite, kTruncate, kSyncData, kSyncDirectory, kCreate, kRename, kRemove };
  /// Called before each operation that changes something; an error makes the operation fail with it,
  /// without having done anything.
  using Hook = std::function<Result<>(Operation, const std::string& path)>;

  SimulatedFileSystem();
  ~SimulatedFileSystem() override;

  /// The hook is not called for what it does itself.
  void set_hook(Hook hook) { hook_ = std::move(hook); }
  /// The disk is full beyond so many bytes in all files; a write that does not fit writes what fits.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  /// Whoever asks is told that there is room without end: another will have filled the disk when it is written to.
  void hide_shortage(bool hidden) { shortage_hidden_ = hidden; }
  [[nodiscard]] std::uint64_t used_bytes() const;
  /// What writes from now on note as a file's time.
  void set_wall_ms(WallMs now) { wall_ms_ = now; }

  /// What a power cut now could leave, chosen by `random`: a file system of its own, all durable.
  [[nodiscard]] std::unique_ptr<SimulatedFileSystem> after_power_cut(Random& random) const;
  /// What the death of the process leaves: all that was written, nothing more durable than it was.
  [[nodiscard]] std::unique_ptr<SimulatedFileSystem> copy() const;

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override;
  bool exists(const std::string& path) const override;
  Result<std::vector<std::string>> list(const std::string& folder) const override;
  Result<> create_directories(const std::string& folder) override;
  Result<> remove(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> sync_directory(const std::string& folder) override;
  Result<VolumeSpace> volume_space(const std::string& folder) const override;

 private:
  class Inode;
  class Node;
  class OpenFile;
  struct Change;
  using NodePtr = std::shared_ptr<Node>;

  [[nodiscard]] std::uint64_t free_bytes() const;
  [[nodiscard]] Result<> before(Operation operation, const std::string& path);
  [[nodiscard]] NodePtr find(const std::string& path) const;
  [[nodiscard]] NodePtr find_parent(const std::string& path) const;

  NodePtr root_;
  Hook hook_;
  bool in_hook_ = false;
  std::uint64_t capacity_ = UINT64_MAX;
  bool shortage_hidden_ = false;
  WallMs wall_ms_ = 0;
};

}  // namespace tributary::sim
