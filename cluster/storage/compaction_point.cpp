#include "cluster/storage/compaction_point.h"

#include <charconv>

namespace tributary {
namespace {

constexpr std::size_t kPointBytesMax = 4096;

std::string point_path(const std::string& folder) { return folder + "/compaction-checkpoint"; }

/// Takes "<name> <offset>\n" off the front of `text`.
std::optional<Offset> take_offset(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || end == text.data() + text.size() || *end != '\n') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end + 1 - text.data()));
  return Offset(value);
}

}  // namespace

Result<std::optional<CompactionPoint>> load_compaction_point(FileSystem& fs, const std::string& folder) {
  const auto path = point_path(folder);
  if (!fs.exists(path)) return std::nullopt;
  ASSIGN_OR_RETURN(const auto bytes, read_file(fs, path, kPointBytesMax));
  auto text = as_string_view(bytes);
  constexpr std::string_view kPointVersion = "0\n";
  if (text.starts_with(kPointVersion)) {
    text.remove_prefix(kPointVersion.size());
    const auto first_dirty = take_offset(text, "cleaned ");
    const auto gaps_below = take_offset(text, "gaps ");
    if (first_dirty && gaps_below && text.empty()) return CompactionPoint{*first_dirty, *gaps_below};
  }
  return fail(Errc::kCorrupt, fmt::format("{} cannot be read", path));
}

Result<> save_compaction_point(FileSystem& fs, const std::string& folder, const CompactionPoint& point) {
  const auto text = fmt::format("0\ncleaned {}\ngaps {}\n", point.first_dirty, point.gaps_below);
  return write_file_atomically(fs, point_path(folder), as_bytes(text));
}

}  // namespace tributary
