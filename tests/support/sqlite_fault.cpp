#include "tests/support/sqlite_fault.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/base/check.h"

namespace tributary::test {
namespace {

// SQLite calls back without a context.
struct {
  SqliteFault::Kind kind = SqliteFault::Kind::kRead;
  std::string name;
  off_t first = 0;
  off_t end = 0;
  int error_number = 0;
} fault;

bool strikes(int descriptor, std::size_t count, off_t position) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
  if (!path.string().ends_with(fault.name)) return false;
  return position < fault.end && position + static_cast<off_t>(count) > fault.first;
}

ssize_t failing_pread(int descriptor, void* buffer, std::size_t count, off_t position) {
  if (!strikes(descriptor, count, position)) return ::pread(descriptor, buffer, count, position);
  errno = fault.error_number;
  return -1;
}

ssize_t failing_pwrite(int descriptor, const void* buffer, std::size_t count, off_t position) {
  if (!strikes(descriptor, count, position)) return ::pwrite(descriptor, buffer, count, position);
  errno = fault.error_number;
  return -1;
}

void set_call(const std::string& name, sqlite3_syscall_ptr function) {
  auto* vfs = sqlite3_vfs_find(nullptr);
  const auto wide = name + "64";
  const auto* used = vfs->xGetSystemCall(vfs, wide.c_str()) != nullptr ? wide.c_str() : name.c_str();
  CHECK(vfs->xSetSystemCall(vfs, used, function) == SQLITE_OK, "{}", used);
}

const char* call_of(SqliteFault::Kind kind) { return kind == SqliteFault::Kind::kRead ? "pread" : "pwrite"; }

}  // namespace

SqliteFault::SqliteFault(Kind kind, std::string name, off_t first, off_t end, int error_number) {
  fault = {kind, std::move(name), first, end, error_number};
  set_call(call_of(kind), kind == Kind::kRead ? reinterpret_cast<sqlite3_syscall_ptr>(&failing_pread)
                                              : reinterpret_cast<sqlite3_syscall_ptr>(&failing_pwrite));
}

SqliteFault::~SqliteFault() { set_call(call_of(fault.kind), nullptr); }  // the one it had

}  // namespace tributary::test
