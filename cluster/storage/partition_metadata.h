#pragma once
// The file `partition.metadata`: which topic a partition folder belongs to, should its name be used
// again (KIP-516).
//
//   version: 0
//   topic_id: AAECAwQFBgcICQoLDA0ODw

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/uuid.h"

namespace tributary {

[[nodiscard]] std::string render_partition_metadata(const Uuid& topic_id);
/// kCorrupt, kUnsupported (another version).
[[nodiscard]] Result<Uuid> parse_partition_metadata(std::string_view text);

}  // namespace tributary
