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

std::vector<std::string> default_intake_roots() {
  std::vector<std::string> roots{"/run/tributary"};
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    roots.emplace_back(runtime);
  }
  roots.emplace_back("/dev/shm");
  return roots;
}

Result<std::string> find_intake_folder(const std::string& data_folder, const std::vector<std::string>& roots) {
  std::error_code ignored;
  const auto absolute = std::filesystem::weakly_canonical(data_folder, ignored).string();
  const auto name = fmt::format("tributary-{:08x}", crc32c(as_bytes(absolute)));
  // A folder that holds an intake already wins: the environment may differ from the last start's.
  for (const auto& root : roots) {
    if (std::filesystem::exists(fmt::format("{}/{}/intake.db", root, name), ignored)) {
      return fmt::format("{}/{}", root, name);
    }
  }
  for (const auto& root : roots) {
    const auto parent_on_tmpfs = is_on_tmpfs(std::filesystem::path(root).parent_path());
    if (parent_on_tmpfs && *parent_on_tmpfs) mkdir(root.c_str(), 0750);  // who may not finds it or not
    const auto on_tmpfs = is_on_tmpfs(root);
    if (on_tmpfs && *on_tmpfs && access(root.c_str(), W_OK | X_OK) == 0) {
      return fmt::format("{}/{}", root, name);
    }
  }
  return fail(Errc::kNotFound,
              fmt::format("no writable tmpfs among {}: name a folder on tmpfs with --intake",
                          fmt::join(roots, ", ")));
}

std::string why_it_may_vanish(const std::string& folder, std::uint32_t uid) {
  constexpr std::uint32_t kFirstUserId = 1000;  // systemd's default: those below are the system's
  std::error_code ignored;
  const auto path = std::filesystem::weakly_canonical(folder, ignored).string() + "/";
  if (path.starts_with("/run/user/")) {
    return "it is removed when the user's last session ends, unless the user lingers (loginctl enable-linger)";
  }
  if (path.starts_with("/dev/shm/") && uid >= kFirstUserId) {
    return "what is no system user's there is removed when the user's last session ends, unless logind.conf has "
           "RemoveIPC=no or the user lingers (loginctl enable-linger)";
  }
  return {};
}

}  // namespace tributary
