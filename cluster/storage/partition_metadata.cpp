#include "cluster/storage/partition_metadata.h"

#include <fmt/format.h>

namespace tributary {
namespace {

constexpr std::string_view kVersionPrefix = "version: ";
constexpr std::string_view kTopicIdPrefix = "topic_id: ";

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

}  // namespace

std::string render_partition_metadata(const Uuid& topic_id) {
  return fmt::format("{}0\n{}{}", kVersionPrefix, kTopicIdPrefix, to_string(topic_id));
}

Result<Uuid> parse_partition_metadata(std::string_view text) {
  const auto version = take_line(text);
  const auto topic_id = take_line(text);
  if (!version.starts_with(kVersionPrefix) || !topic_id.starts_with(kTopicIdPrefix))
    return fail(Errc::kCorrupt, "not the lines \"version: 0\" and \"topic_id: ...\"");
  if (version.substr(kVersionPrefix.size()) != "0")
    return fail(Errc::kUnsupported, fmt::format("\"{}\" instead of version 0", version.substr(0, 64)));
  const auto id = parse_uuid(topic_id.substr(kTopicIdPrefix.size()));
  if (!id) return fail(Errc::kCorrupt, fmt::format("\"{}\" is not a topic id", topic_id.substr(0, 64)));
  return *id;
}

}  // namespace tributary
