#include "tests/sim/files/simulated_file_system.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace tributary::sim {
namespace {

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : path + "/") {
    if (c != '/') {
      part += c;
    } else if (!part.empty()) {
      if (part != ".") parts.push_back(part);
      part.clear();
    }
  }
  return parts;
}

std::string name_of_path(const std::string& path) { return parts_of(path).back(); }

tl::unexpected<Error> not_found(const std::string& path) {
  return fail(Errc::kNotFound, "simulated: " + path + " does not exist");
}

}  // namespace

/// A file's bytes: as they are in the page cache, and as they are known to be on disk.
class SimulatedFileSystem::Inode {
 public:
  Bytes cache;
  WallMs modified_ms = 0;

  void write(std::uint64_t position, ByteView bytes) {
    if (bytes.empty()) return;
    if (cache.size() < position + bytes.size()) resize(position + bytes.size());
    std::memcpy(cache.data() + position, bytes.data(), bytes.size());
    remember_sectors(position, position + bytes.size());
  }

  void resize(std::uint64_t size) {
    const auto old = cache.size();
    cache.resize(size);
    sizes_.push_back(size);
    if (size < old) remember_sectors(size, size + 1);  // the kernel clears the rest of the last one
  }

  void sync() {
    for (auto it = sectors_.begin(); it != sectors_.end();) {
      if (it->second.lost) {
        ++it;
        continue;
      }
      put_sector(durable_, it->first, it->second.versions.back());
      it = sectors_.erase(it);
    }
    if (sectors_.empty()) durable_ = cache;  // incl. holes, and what was cut off and grew again
    durable_.resize(cache.size());
    sizes_.clear();
  }

  void fail_sync() {
    for (auto& [number, sector] : sectors_) sector.lost = true;
  }

  [[nodiscard]] std::shared_ptr<Inode> after_power_cut(Random& random) const {
    auto image = std::make_shared<Inode>();
    image->cache = durable_;
    image->modified_ms = modified_ms;
    const auto style = random.below(4);  // all, nothing, or each sector for itself
    for (const auto& [number, sector] : sectors_) {
      if (style == 0) continue;
      const auto& versions = sector.versions;
      const auto pick = style == 1 ? versions.size() : random.below(versions.size() + 1);
      Bytes content = pick == 0 ? sector_of(durable_, number) : versions[pick - 1];
      if (style == 3 && random.below(4) == 0) tear(content, sector_of(durable_, number), random);
      put_sector(image->cache, number, content);
    }
    std::uint64_t size = durable_.size();
    if (style == 1 || (style > 1 && random.below(3) > 0)) size = cache.size();
    else if (!sizes_.empty() && random.below(2) == 0) size = sizes_[random.below(sizes_.size())];
    image->cache.resize(size);
    image->durable_ = image->cache;
    return image;
  }

 private:
  struct Sector {
    std::vector<Bytes> versions;  // since the last sync, oldest first
    bool lost = false;            // a sync of them has failed
  };
  static constexpr std::size_t kVersionsMax = 8;

  static Bytes sector_of(const Bytes& bytes, std::uint64_t number) {
    Bytes sector(kSectorBytes, 0);
    const auto start = number * kSectorBytes;
    if (start < bytes.size())
      std::memcpy(sector.data(), bytes.data() + start,
                  std::min<std::size_t>(kSectorBytes, bytes.size() - start));
    return sector;
  }
  static void put_sector(Bytes& bytes, std::uint64_t number, const Bytes& sector) {
    const auto start = number * kSectorBytes;
    if (bytes.size() < start + kSectorBytes) bytes.resize(start + kSectorBytes);
    std::memcpy(bytes.data() + start, sector.data(), kSectorBytes);
  }
  static void tear(Bytes& content, const Bytes& old, Random& random) {
    const auto kept = static_cast<std::ptrdiff_t>(random.below(kSectorBytes));
    std::copy(old.begin() + kept, old.end(), content.begin() + kept);
  }
  void remember_sectors(std::uint64_t begin, std::uint64_t end) {
    for (auto number = begin / kSectorBytes; number * kSectorBytes < end; ++number) {
      auto& sector = sectors_[number];
      sector.lost = false;
      if (sector.versions.size() == kVersionsMax) sector.versions.erase(sector.versions.begin());
      sector.versions.push_back(sector_of(cache, number));
    }
  }

  Bytes durable_;
  std::map<std::uint64_t, Sector> sectors_;
  std::vector<std::uint64_t> sizes_;  // since the last sync
};

/// One entry's change in a folder that is not durable yet.
struct SimulatedFileSystem::Change {
  std::string removed;  // empty: nothing
  std::string added;    // empty: nothing
  NodePtr node;         // under `added`
};

/// A file or a folder.
class SimulatedFileSystem::Node {
 public:
  std::shared_ptr<Inode> inode;  // a file, if set
  std::map<std::string, NodePtr> entries;

  [[nodiscard]] bool is_folder() const { return inode == nullptr; }

  void change(Change change) {
    apply(entries, change);
    changes_.push_back(std::move(change));
  }
  void sync() {
    durable_ = entries;
    changes_.clear();
  }

  [[nodiscard]] NodePtr after_power_cut(Random& random) const {
    auto image = std::make_shared<Node>();
    if (inode) {
      image->inode = inode->after_power_cut(random);
      return image;
    }
    auto names = durable_;
    const auto style = random.below(4);
    for (const auto& change : changes_)
      if (style == 1 || (style > 1 && random.below(2) == 0)) apply(names, change);
    for (const auto& [name, node] : names) image->entries[name] = node->after_power_cut(random);
    image->durable_ = image->entries;
    return image;
  }

  /// The same nodes in other objects: what is known to be durable stays so.
  [[nodiscard]] NodePtr copy(std::map<const Node*, NodePtr>& copies) const {
    auto& known = copies[this];
    if (known) return known;
    auto node = std::make_shared<Node>();
    known = node;
    if (inode) node->inode = std::make_shared<Inode>(*inode);
    for (const auto& [name, entry] : entries) node->entries[name] = entry->copy(copies);
    for (const auto& [name, entry] : durable_) node->durable_[name] = entry->copy(copies);
    for (const auto& change : changes_)
      node->changes_.push_back({change.removed, change.added, change.node ? change.node->copy(copies) : nullptr});
    return node;
  }

 private:
  static void apply(std::map<std::string, NodePtr>& names, const Change& change) {
    if (!change.removed.empty() && names.erase(change.removed) == 0 && !change.added.empty())
      return;  // a rename whose source never became durable
    if (!change.added.empty()) names[change.added] = change.node;
  }

  std::map<std::string, NodePtr> durable_;
  std::vector<Change> changes_;
};

class SimulatedFileSystem::OpenFile final : public File {
 public:
  OpenFile(SimulatedFileSystem& fs, std::shared_ptr<Inode> inode, std::string path)
      : fs_(fs), inode_(std::move(inode)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    if (position >= inode_->cache.size()) return 0;
    const auto count = std::min<std::size_t>(out.size(), inode_->cache.size() - position);
    std::memcpy(out.data(), inode_->cache.data() + position, count);
    return count;
  }

  Result<> write_at(std::uint64_t position, std::span<const ByteView> parts) override {
    RETURN_IF_ERROR(fs_.before(Operation::kWrite, path_));
    inode_->modified_ms = fs_.wall_ms_;
    for (auto part : parts) {
      const auto growth = position + part.size() - std::min<std::uint64_t>(
                              position + part.size(), inode_->cache.size());
      const auto free = fs_.free_bytes();
      if (growth > free) {
        inode_->write(position, part.first(part.size() - static_cast<std::size_t>(growth - free)));
        return fail(Errc::kNoSpace, "simulated: no space left on device: " + path_);
      }
      inode_->write(position, part);
      position += part.size();
    }
    return {};
  }

  Result<> sync_data() override {
    if (auto allowed = fs_.before(Operation::kSyncData, path_); !allowed) {
      inode_->fail_sync();
      return allowed;
    }
    inode_->sync();
    return {};
  }

  Result<> truncate(std::uint64_t size) override {
    RETURN_IF_ERROR(fs_.before(Operation::kTruncate, path_));
    inode_->resize(size);
    return {};
  }

  Result<std::uint64_t> size() const override { return inode_->cache.size(); }
  Result<WallMs> modified_ms() const override { return inode_->modified_ms; }
  Result<> set_modified_ms(WallMs time_ms) override {
    inode_->modified_ms = time_ms;
    return {};
  }

 private:
  SimulatedFileSystem& fs_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
};

SimulatedFileSystem::SimulatedFileSystem() : root_(std::make_shared<Node>()) {}
SimulatedFileSystem::~SimulatedFileSystem() = default;

Result<> SimulatedFileSystem::before(Operation operation, const std::string& path) {
  if (!hook_ || in_hook_) return {};
  in_hook_ = true;
  auto result = hook_(operation, path);
  in_hook_ = false;
  return result;
}

std::uint64_t SimulatedFileSystem::used_bytes() const {
  const auto sum = [](const auto& self, const Node& node) -> std::uint64_t {
    std::uint64_t bytes = node.inode ? node.inode->cache.size() : 0;
    for (const auto& [name, entry] : node.entries) bytes += self(self, *entry);
    return bytes;
  };
  return sum(sum, *root_);
}

std::uint64_t SimulatedFileSystem::free_bytes() const {
  if (capacity_ == UINT64_MAX) return UINT64_MAX;  // adding up all files at every write takes its time
  return capacity_ - std::min(used_bytes(), capacity_);
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::after_power_cut(Random& random) const {
  auto image = std::make_unique<SimulatedFileSystem>();
  image->root_ = root_->after_power_cut(random);
  image->wall_ms_ = wall_ms_;
  return image;
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::copy() const {
  auto image = std::make_unique<SimulatedFileSystem>();
  std::map<const Node*, NodePtr> copies;
  image->root_ = root_->copy(copies);
  image->wall_ms_ = wall_ms_;
  return image;
}

SimulatedFileSystem::NodePtr SimulatedFileSystem::find(const std::string& path) const {
  auto node = root_;
  for (const auto& part : parts_of(path)) {
    const auto entry = node->entries.find(part);
    if (entry == node->entries.end()) return nullptr;
    node = entry->second;
  }
  return node;
}

SimulatedFileSystem::NodePtr SimulatedFileSystem::find_parent(const std::string& path) const {
  auto node = root_;
  auto parts = parts_of(path);
  parts.pop_back();
  for (const auto& part : parts) {
    const auto entry = node->entries.find(part);
    if (entry == node->entries.end()) return nullptr;
    node = entry->second;
  }
  return node->is_folder() ? node : nullptr;
}

Result<std::shared_ptr<File>> SimulatedFileSystem::open(const std::string& path, OpenMode mode) {
  auto node = find(path);
  if (node && node->is_folder()) return fail(Errc::kIo, "simulated: " + path + " is a folder");
  if (!node) {
    const auto parent = find_parent(path);
    if (!parent || mode == OpenMode::kRead || mode == OpenMode::kReadWrite) return not_found(path);
    RETURN_IF_ERROR(before(Operation::kCreate, path));
    node = std::make_shared<Node>();
    node->inode = std::make_shared<Inode>();
    parent->change({"", name_of_path(path), node});
  } else if (mode == OpenMode::kTruncate) {
    RETURN_IF_ERROR(before(Operation::kTruncate, path));
    node->inode->resize(0);
  }
  return std::make_shared<OpenFile>(*this, node->inode, path);
}

bool SimulatedFileSystem::exists(const std::string& path) const { return find(path) != nullptr; }

Result<std::vector<std::string>> SimulatedFileSystem::list(const std::string& folder) const {
  const auto node = find(folder);
  if (!node) return not_found(folder);
  if (!node->is_folder()) return fail(Errc::kIo, "simulated: " + folder + " is not a folder");
  std::vector<std::string> names;
  for (const auto& [name, entry] : node->entries) names.push_back(name);
  return names;
}

Result<> SimulatedFileSystem::create_directories(const std::string& folder) {
  auto node = root_;
  for (const auto& part : parts_of(folder)) {
    if (!node->is_folder()) return fail(Errc::kIo, "simulated: a file is in the way of " + folder);
    if (!node->entries.contains(part)) {
      RETURN_IF_ERROR(before(Operation::kCreate, folder));
      node->change({"", part, std::make_shared<Node>()});
    }
    node = node->entries.at(part);
  }
  return {};
}

Result<> SimulatedFileSystem::remove(const std::string& path) {
  const auto node = find(path);
  if (!node) return not_found(path);
  if (!node->entries.empty()) return fail(Errc::kIo, "simulated: " + path + " is not empty");
  RETURN_IF_ERROR(before(Operation::kRemove, path));
  find_parent(path)->change({name_of_path(path), "", nullptr});
  return {};
}

Result<> SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  const auto node = find(from);
  const auto parent = find_parent(from);
  if (!node || find_parent(to) != parent) return not_found(from);  // across folders: not needed
  RETURN_IF_ERROR(before(Operation::kRename, from));
  parent->change({name_of_path(from), name_of_path(to), node});
  return {};
}

Result<> SimulatedFileSystem::sync_directory(const std::string& folder) {
  const auto node = find(folder);
  if (!node) return not_found(folder);
  RETURN_IF_ERROR(before(Operation::kSyncDirectory, folder));
  node->sync();
  return {};
}

Result<VolumeSpace> SimulatedFileSystem::volume_space(const std::string&) const {
  if (shortage_hidden_) return VolumeSpace{.total_bytes = UINT64_MAX, .usable_bytes = UINT64_MAX};
  return VolumeSpace{.total_bytes = capacity_, .usable_bytes = free_bytes()};
}

}  // namespace tributary::sim
