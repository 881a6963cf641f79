#pragma once
// The settings `log.level` (--log-level) and `log.format` (--log-format) that every program has.

#include <string>

#include "common/base/result.h"

namespace tributary {

class Settings;

struct LogSettings {
  std::string level = "info";
  std::string format = "text";

  /// Declares both; this object must outlive `settings`.
  void declare(Settings& settings);
  /// Puts them in force. Call after Settings::parse and before other threads start.
  void apply() const;
};

}  // namespace tributary
