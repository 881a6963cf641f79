#pragma once
// A file system that is soon full.

#include <string>

namespace tributary::test {

/// A small file system of its own at `path`, while this lives. Needs root.
class SmallDisk {
 public:
  /// `size` as mount(8) takes it for tmpfs: "64m".
  SmallDisk(std::string path, const std::string& size);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  /// If not, errno says why.
  [[nodiscard]] bool mounted() const { return mounted_; }
  /// To the last byte.
  void fill() const;
  /// Gives back what fill() took.
  void empty() const;

 private:
  const std::string path_;
  const std::string ballast_;
  bool mounted_ = false;
};

}  // namespace tributary::test
