#pragma once
// How far a compacted log was cleaned: the file "compaction-checkpoint" in its folder.
//
//   0            version
//   cleaned 4711
//   gaps 5000

#include <optional>

#include "common/base/ids.h"
#include "common/env/file_system.h"

namespace tributary {

struct CompactionPoint {
  Offset first_dirty{0};  // below it, one record per key is left
  Offset gaps_below{0};   // before batches below it, others may be missing
};

/// Nothing where no cleaning has begun yet. kCorrupt, naming the file.
[[nodiscard]] Result<std::optional<CompactionPoint>> load_compaction_point(FileSystem& fs, const std::string& folder);

/// Durable when it returns. If it never returns, the former one or this one is there.
[[nodiscard]] Result<> save_compaction_point(FileSystem& fs, const std::string& folder, const CompactionPoint& point);

}  // namespace tributary
