#include "cluster/storage/folder_names.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/base/topic_name.h"

namespace tributary {
namespace {

constexpr std::string_view kSwapSuffix = ".swap";
constexpr std::size_t kOffsetDigits = 20;
constexpr std::size_t kFileNameMax = 255;
constexpr std::size_t kDeletedUniqueDigits = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// All of `text` as a decimal number without sign or leading "+".
template <class Integer>
std::optional<Integer> parse_digits(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string segment_file_name(Offset base_offset, std::string_view suffix) {
  return fmt::format("{:020}{}", base_offset.value(), suffix);
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
  if (name.size() <= kOffsetDigits) return std::nullopt;
  const auto offset = parse_digits<std::int64_t>(name.substr(0, kOffsetDigits));
  if (!offset) return std::nullopt;
  for (const auto suffix : {kLogSuffix, kOffsetIndexSuffix, kTimeIndexSuffix, kSnapshotSuffix})
    if (name.substr(kOffsetDigits) == suffix) return SegmentFileName{Offset(*offset), suffix};
  return std::nullopt;
}

std::string swap_file_name(Offset base_offset, Offset end_offset) {
  return fmt::format("{:020}-{:020}{}", base_offset.value(), end_offset.value(), kSwapSuffix);
}

std::optional<SwapFileName> parse_swap_file_name(std::string_view name) {
  if (!name.ends_with(kSwapSuffix)) return std::nullopt;
  name.remove_suffix(kSwapSuffix.size());
  if (name.size() != 2 * kOffsetDigits + 1 || name[kOffsetDigits] != '-') return std::nullopt;
  const auto base = parse_digits<std::int64_t>(name.substr(0, kOffsetDigits));
  const auto end = parse_digits<std::int64_t>(name.substr(kOffsetDigits + 1));
  if (!base || !end || *end <= *base) return std::nullopt;
  return SwapFileName{Offset(*base), Offset(*end)};
}

std::string partition_folder_name(const TopicPartition& partition) {
  return fmt::format("{}", partition);
}

std::optional<TopicPartition> parse_partition_folder_name(std::string_view name) {
  const auto dash = name.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto partition = parse_digits<std::int32_t>(name.substr(dash + 1));
  if (!partition || !validate_topic_name(name.substr(0, dash))) return std::nullopt;
  TopicPartition result{std::string(name.substr(0, dash)), PartitionIndex(*partition)};
  if (partition_folder_name(result) != name) return std::nullopt;  // "a-01"
  return result;
}

std::string deleted_folder_name(const TopicPartition& partition, std::uint64_t high,
                                std::uint64_t low) {
  const auto tail = fmt::format(".{:016x}{:016x}{}", high, low, kDeletedFolderSuffix);
  return partition_folder_name(partition).substr(0, kFileNameMax - tail.size()) + tail;
}

bool is_deleted_folder_name(std::string_view name) {
  // Strict: what has such a name is removed with all that is in it.
  if (!name.ends_with(kDeletedFolderSuffix)) return false;
  name.remove_suffix(kDeletedFolderSuffix.size());
  if (name.size() < kDeletedUniqueDigits + 2) return false;
  const auto unique = name.substr(name.size() - kDeletedUniqueDigits);
  return name[name.size() - kDeletedUniqueDigits - 1] == '.' &&
         std::all_of(unique.begin(), unique.end(),
                     [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace tributary
