#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <utility>
#include <vector>

namespace tributary::test {

SmallDisk::SmallDisk(std::string path, const std::string& size) : path_(std::move(path)), ballast_(path_ + "/ballast") {
  std::filesystem::create_directories(path_);
  mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
}

void SmallDisk::fill() const {
  const int descriptor = ::open(ballast_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const std::vector<char> zeros(64 * 1024);
  for (std::size_t size = zeros.size(); size > 0; size /= 2)
    while (::write(descriptor, zeros.data(), size) > 0) continue;
  ::close(descriptor);
}

void SmallDisk::empty() const { std::filesystem::remove(ballast_); }

}  // namespace tributary::test
