#include "cluster/storage/meta_properties.h"

#include <charconv>
#include <map>

namespace tributary {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

using Fields = std::map<std::string_view, std::string_view>;

Result<Fields> parse_fields(std::string_view text) {
  Fields fields;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos)
      return fail(Errc::kCorrupt, fmt::format("line {} is not \"key=value\"", number));
    fields[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return fields;
}

Result<std::string_view> required(const Fields& fields, std::string_view key) {
  const auto found = fields.find(key);
  if (found == fields.end() || found->second.empty())
    return fail(Errc::kCorrupt, fmt::format("{} is missing", key));
  return found->second;
}

}  // namespace

std::string render_meta_properties(const MetaProperties& properties) {
  return fmt::format("version=1\ncluster.id={}\nnode.id={}\n", properties.cluster_id,
                     properties.broker_id);
}

Result<MetaProperties> parse_meta_properties(std::string_view text) {
  ASSIGN_OR_RETURN(const auto fields, parse_fields(text));
  ASSIGN_OR_RETURN(const auto version, required(fields, "version"));
  if (version != "0" && version != "1")
    return fail(Errc::kUnsupported,
                fmt::format("version {} of the data folder is not known", version.substr(0, 32)));
  MetaProperties properties;
  ASSIGN_OR_RETURN(const auto cluster_id, required(fields, "cluster.id"));
  properties.cluster_id = cluster_id;
  const std::string_view id_key = version == "0" ? "broker.id" : "node.id";
  ASSIGN_OR_RETURN(const auto id_text, required(fields, id_key));
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(id_text.data(), id_text.data() + id_text.size(), id);
  if (error != std::errc{} || end != id_text.data() + id_text.size() || id < 0)
    return fail(Errc::kCorrupt, fmt::format("{} is not a number", id_key));
  properties.broker_id = BrokerId(id);
  return properties;
}

}  // namespace tributary
