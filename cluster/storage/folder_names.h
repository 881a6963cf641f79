#pragma once
// The names that Kafka gives to partition folders and to the files in them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace tributary {

inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kOffsetIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kSnapshotSuffix = ".snapshot";
/// What a log cleaner is writing: behind the name of the file that it is to become. Means nothing after a crash.
inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kTemporarySuffix = ".tmp";
inline constexpr std::string_view kDeletedFolderSuffix = "-delete";

/// "00000000000000000042.log": the offset with 20 digits, then the suffix.
[[nodiscard]] std::string segment_file_name(Offset base_offset, std::string_view suffix);

struct SegmentFileName {
  Offset base_offset{0};
  std::string_view suffix;  // one of the four above
};
/// Nothing for a name that segment_file_name cannot give. The suffix is a constant.
[[nodiscard]] std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);

/// "00000000000000000042-00000000000000000099.swap": what takes the place of the segments from offset 42 on and
/// below 99.
[[nodiscard]] std::string swap_file_name(Offset base_offset, Offset end_offset);
struct SwapFileName {
  Offset base_offset{0};
  Offset end_offset{0};  // exclusive
};
[[nodiscard]] std::optional<SwapFileName> parse_swap_file_name(std::string_view name);

/// "<topic>-<partition>".
[[nodiscard]] std::string partition_folder_name(const TopicPartition& partition);
/// Nothing for a name that no valid topic and partition give.
[[nodiscard]] std::optional<TopicPartition> parse_partition_folder_name(std::string_view name);

/// "<topic>-<partition>.<32 hexadecimal digits>-delete", the front shortened to what a file system
/// takes (255 bytes). `high` and `low` are random.
[[nodiscard]] std::string deleted_folder_name(const TopicPartition& partition, std::uint64_t high,
                                              std::uint64_t low);
[[nodiscard]] bool is_deleted_folder_name(std::string_view name);

}  // namespace tributary
