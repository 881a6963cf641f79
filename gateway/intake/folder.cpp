// Where the intake lives.

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>

#include "common/bytes/crc32c.h"
#include "gateway/intake/intake.h"

namespace tributary {

Result<bool> is_on_tmpfs(const std::string& folder) {
  struct statfs status {};
  if (statfs(folder.c_str(), &status) != 0) return fail_errno(folder);
  return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

Result<IntakeBounds> intake_bounds(const std::string& folder, std::size_t asked) {
  constexpr std::size_t kRoomMax = 16 << 20;
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0) return fail_errno(folder);
  const auto size = static_cast<std::size_t>(status.f_blocks) * status.f_frsize;
  if (size == 0) return IntakeBounds{asked, 0};  // a tmpfs without a limit
  return IntakeBounds{std::min(asked, size / 10 * 6), std::min(size / 8, kRoomMax)};
}

Result<std::string> find_intake_folder(const std::string& data_folder) {
  std::error_code ignored;
  const auto absolute = std::filesystem::weakly_canonical(data_folder, ignored).string();
  const auto name = fmt::format("tributary-{:08x}", crc32c(as_bytes(absolute)));
  std::vector<std::string> roots;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    roots.emplace_back(runtime);
  }
  roots.insert(roots.end(), {"/run/tributary", "/dev/shm"});
  // A folder that holds an intake already wins: the environment may differ from the last start's.
  for (const auto& root : roots) {
    if (std::filesystem::exists(fmt::format("{}/{}/intake.db", root, name), ignored)) {
      return fmt::format("{}/{}", root, name);
    }
  }
  for (const auto& root : roots) {
    if (root == "/run/tributary") mkdir(root.c_str(), 0750);  // root may, others find it or not
    const auto on_tmpfs = is_on_tmpfs(root);
    if (on_tmpfs && *on_tmpfs && access(root.c_str(), W_OK | X_OK) == 0) {
      return fmt::format("{}/{}", root, name);
    }
  }
  return fail(Errc::kNotFound,
              fmt::format("no writable tmpfs among {}: name a folder on tmpfs with --intake",
                          fmt::join(roots, ", ")));
}

}  // namespace tributary
