#pragma once
// What IncrementalAlterConfigs does to the configs of a topic. Pure.

#include <string>
#include <vector>

#include "cluster/server/topic_settings.h"

namespace tributary {

struct ConfigChange {
  /// kAppend and kSubtract: the items of a list, separated by commas (KIP-339).
  enum class Kind { kSet, kUnset, kAppend, kSubtract };
  std::string name;
  Kind kind = Kind::kSet;
  std::string value;  // not of kUnset
};

/// What is set on the topic after `changes`, made in order. kInvalidArgument, naming the config: one that is
/// not served, or is no list but is treated as one. Values are not checked: resolve_topic_settings does that.
[[nodiscard]] Result<TopicConfigs> change_configs(const TopicSettings& defaults, TopicConfigs configs,
                                                  const std::vector<ConfigChange>& changes);

}  // namespace tributary
