#pragma once
// Programs that others wrote, or that need what others wrote, and that are no Debian packages.

#include <string>
#include <vector>

namespace tributary::test {

/// A folder of tests/compat/clients, copied to where it is kept with what it needs from a registry: in
/// $TRIBUTARY_CLIENTS, or in the build folder. One process at a time per name.
class FetchedProgram {
 public:
  explicit FetchedProgram(std::string name);

  /// Copies the sources and runs `command`, in whose words {dir} stands for the folder, like below. Why not, if what
  /// the program needs cannot be had; else empty.
  [[nodiscard]] std::string fetch(const std::vector<std::string>& command) const;
  [[nodiscard]] std::string filled(std::string text) const;
  [[nodiscard]] std::vector<std::string> filled(std::vector<std::string> texts) const;
  [[nodiscard]] const std::string& dir() const { return dir_; }

  /// With $TRIBUTARY_COMPAT_RESULTS, appends to the file of this name there: lines "version CLIENT VERSION",
  /// "ok FEATURE", "lacks FEATURE: WHY", "failed FEATURE: WHY", "skipped WHY".
  void keep_results(const std::string& lines) const;

 private:
  const std::string name_;
  const std::string dir_;
};

/// The variable of the environment, or `otherwise`.
[[nodiscard]] std::string env_or(const char* name, const std::string& otherwise);

}  // namespace tributary::test
