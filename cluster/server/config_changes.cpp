#include "cluster/server/config_changes.h"

#include <algorithm>
#include <string_view>

namespace tributary {
namespace {

std::vector<std::string> items_of(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (comma > 0) items.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return items;
}

std::string list_after(const std::string& before, const ConfigChange& change) {
  auto items = items_of(before);
  for (const auto& item : items_of(change.value)) {
    if (change.kind == ConfigChange::Kind::kSubtract) std::erase(items, item);
    else if (std::ranges::find(items, item) == items.end()) items.push_back(item);
  }
  return fmt::format("{}", fmt::join(items, ","));
}

}  // namespace

Result<TopicConfigs> change_configs(const TopicSettings& defaults, TopicConfigs configs,
                                    const std::vector<ConfigChange>& changes) {
  const auto known = describe_topic_configs(defaults, {});
  for (const auto& change : changes) {
    const auto info = std::ranges::find(known, change.name, &TopicConfigInfo::name);
    if (info == known.end())
      return fail(Errc::kInvalidArgument, fmt::format("config '{}': not supported", change.name));
    switch (change.kind) {
      case ConfigChange::Kind::kSet: configs[change.name] = change.value; break;
      case ConfigChange::Kind::kUnset: configs.erase(change.name); break;
      case ConfigChange::Kind::kAppend:
      case ConfigChange::Kind::kSubtract:
        if (info->type != TopicConfigInfo::Type::kList)
          return fail(Errc::kInvalidArgument,
                      fmt::format("config '{}': it is no list, and can only be set or unset", change.name));
        const auto own = configs.find(change.name);
        configs[change.name] = list_after(own != configs.end() ? own->second : info->value, change);
        break;
    }
  }
  return configs;
}

}  // namespace tributary
