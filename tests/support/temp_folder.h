#pragma once
// A folder for one test.

#include <string>

namespace tributary::test {

/// Made under $TMPDIR (or /tmp). Removed with all below it at the end, unless the test has failed or
/// TRIBUTARY_KEEP is set: then its path is printed.
class TempFolder {
 public:
  TempFolder() : TempFolder("") {}
  /// Under `parent`, e.g. "/dev/shm".
  explicit TempFolder(const std::string& parent);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace tributary::test
