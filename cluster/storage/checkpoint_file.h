#pragma once
// Kafka's small text files: a version line, a count line, then one entry per line.
//
//   0
//   2
//   readings 0 4711
//   readings 1 1234

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/env/file_system.h"

namespace tributary {

/// One entry of `leader-epoch-checkpoint`: records from `start_offset` on were written in `epoch`.
struct EpochStart {
  LeaderEpoch epoch{0};
  Offset start_offset{0};
  friend bool operator==(const EpochStart&, const EpochStart&) = default;
};

using OffsetCheckpoint = std::map<TopicPartition, Offset>;

[[nodiscard]] std::string render_offset_checkpoint(const OffsetCheckpoint& offsets);
/// kCorrupt says which line is wrong; kUnsupported for another version.
[[nodiscard]] Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text);

[[nodiscard]] std::string render_epoch_checkpoint(const std::vector<EpochStart>& epochs);
/// Also checks that epochs rise and start offsets do not fall.
[[nodiscard]] Result<std::vector<EpochStart>> parse_epoch_checkpoint(std::string_view text);

}  // namespace tributary
