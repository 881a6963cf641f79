#pragma once
// The file `meta.properties`: whose data folder this is (KIP-631).
//
//   version=1
//   cluster.id=qtvZb5-nS0SYRUYAOYPCfQ
//   node.id=0

#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace tributary {

struct MetaProperties {
  std::string cluster_id;
  BrokerId broker_id{0};
};

[[nodiscard]] std::string render_meta_properties(const MetaProperties& properties);
/// Also reads version 0 (`broker.id`). kCorrupt for missing or malformed fields, kUnsupported for
/// another version. Unknown keys are ignored.
[[nodiscard]] Result<MetaProperties> parse_meta_properties(std::string_view text);

}  // namespace tributary
