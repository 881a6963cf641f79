#include "cluster/storage/checkpoint_file.h"

#include <charconv>
#include <optional>

namespace tributary {
namespace {

constexpr std::string_view kCheckpointVersion = "0";

tl::unexpected<Error> bad_line(std::size_t line, std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("line {}: {}", line, what));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

template <class Integer>
std::optional<Integer> parse_integer(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// The entry lines, after version and count have been checked; the first is line 3 of the file.
Result<std::vector<std::string_view>> entry_lines(std::string_view text) {
  auto lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) return bad_line(1, "the version is missing");
  if (lines[0] != kCheckpointVersion)
    return fail(Errc::kUnsupported, fmt::format("version \"{}\" instead of {}", lines[0], kCheckpointVersion));
  const auto count = lines.size() < 2 ? std::nullopt : parse_integer<std::uint64_t>(lines[1]);
  if (!count) return bad_line(2, "the number of entries is missing");
  lines.erase(lines.begin(), lines.begin() + 2);
  if (lines.size() != *count)
    return bad_line(2, fmt::format("{} entries announced, {} found", *count, lines.size()));
  return lines;
}

std::string render(std::size_t count, const std::string& entries) {
  return fmt::format("{}\n{}\n{}", kCheckpointVersion, count, entries);
}

}  // namespace

std::string render_offset_checkpoint(const OffsetCheckpoint& offsets) {
  std::string entries;
  for (const auto& [tp, offset] : offsets)
    fmt::format_to(std::back_inserter(entries), "{} {} {}\n", tp.topic, tp.partition, offset);
  return render(offsets.size(), entries);
}

Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text) {
  ASSIGN_OR_RETURN(const auto lines, entry_lines(text));
  OffsetCheckpoint offsets;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto fields = split(lines[i], ' ');
    const auto partition = fields.size() == 3 ? parse_integer<std::int32_t>(fields[1]) : std::nullopt;
    const auto offset = fields.size() == 3 ? parse_integer<std::int64_t>(fields[2]) : std::nullopt;
    if (!partition || !offset || fields[0].empty())
      return bad_line(i + 3, "not \"topic partition offset\"");
    offsets[{std::string(fields[0]), PartitionIndex(*partition)}] = Offset(*offset);
  }
  return offsets;
}

std::string render_epoch_checkpoint(const std::vector<EpochStart>& epochs) {
  std::string entries;
  for (const auto& [epoch, start_offset] : epochs)
    fmt::format_to(std::back_inserter(entries), "{} {}\n", epoch, start_offset);
  return render(epochs.size(), entries);
}

Result<std::vector<EpochStart>> parse_epoch_checkpoint(std::string_view text) {
  ASSIGN_OR_RETURN(const auto lines, entry_lines(text));
  std::vector<EpochStart> epochs;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto fields = split(lines[i], ' ');
    const auto epoch = fields.size() == 2 ? parse_integer<std::int32_t>(fields[0]) : std::nullopt;
    const auto offset = fields.size() == 2 ? parse_integer<std::int64_t>(fields[1]) : std::nullopt;
    if (!epoch || !offset) return bad_line(i + 3, "not \"epoch start_offset\"");
    const EpochStart entry{LeaderEpoch(*epoch), Offset(*offset)};
    if (!epochs.empty() && (entry.epoch <= epochs.back().epoch ||
                            entry.start_offset < epochs.back().start_offset))
      return bad_line(i + 3, "epochs must rise and start offsets must not fall");
    epochs.push_back(entry);
  }
  return epochs;
}

}  // namespace tributary
