#include "common/telemetry/log_settings.h"

#include "common/base/check.h"
#include "common/config/settings.h"
#include "common/telemetry/log.h"

namespace tributary {

void LogSettings::declare(Settings& settings) {
  settings.add("log.level", level, "Least level that is logged")
      .choices({"trace", "debug", "info", "warning", "error", "off"});
  settings.add("log.format", format, "How a log line is written").choices({"text", "json"});
}

void LogSettings::apply() const {
  const auto parsed_level = parse_log_level(level);
  const auto parsed_format = parse_log_format(format);
  CHECK(parsed_level && parsed_format, "settings not validated: {}, {}", level, format);
  set_log_level(*parsed_level);
  set_log_format(*parsed_format);
}

}  // namespace tributary
