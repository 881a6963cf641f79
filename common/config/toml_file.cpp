// The only file that knows toml++: from a TOML document to assigned settings.

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <toml++/toml.h>

#include "common/config/spec.h"

namespace tributary::detail {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kTextLengthMax = 200;  // of a value quoted in an error

std::string_view name_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a float";
    case toml::node_type::boolean: return "a boolean";
    default: return "a date or time";
  }
}

std::string_view expected_of(SettingType type) {
  switch (type) {
    case SettingType::kString: return "a string";
    case SettingType::kBool: return "true or false";
    case SettingType::kInteger: return "a whole number";
    case SettingType::kDouble: return "a number";
    case SettingType::kBytes: return "a byte size such as \"64MiB\"";
    case SettingType::kDuration: return "a duration such as \"500ms\", \"10s\" or \"7d\"";
    case SettingType::kHostPort: return "host:port such as \"127.0.0.1:9092\"";
    case SettingType::kStrings: return "an array of strings";
  }
  return "another type";
}

/// The node's value as the text that assign_setting takes; nothing if its TOML type does not fit.
std::optional<std::string> text_of(const toml::node& node, SettingType type) {
  const bool wants_string = type == SettingType::kString || type == SettingType::kHostPort ||
                            type == SettingType::kBytes || type == SettingType::kDuration ||
                            type == SettingType::kStrings;
  if (node.is_string() && wants_string) return **node.as_string();
  if (node.is_boolean() && type == SettingType::kBool) return **node.as_boolean() ? "true" : "false";
  if (node.is_integer() && (type == SettingType::kInteger || type == SettingType::kBytes ||
                            type == SettingType::kDouble))
    return std::to_string(**node.as_integer());
  if (node.is_floating_point() && type == SettingType::kDouble)
    return fmt::format("{}", **node.as_floating_point());
  return std::nullopt;
}

class Reader {
 public:
  Reader(std::string file, std::vector<std::string>& errors) : file_(std::move(file)), errors_(errors) {}

  void read(GroupSpec& group, const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const auto path = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
      const auto line = key.source().begin.line;
      if (auto* setting = find(group.settings, path)) {
        assign(*setting, path, node, line);
      } else if (auto* tables = find(group.tables, path)) {
        read_rows(*tables, path, node, line);
      } else if (!is_table_name(group, path)) {
        refuse_unknown(group, path, line);
      } else if (const auto* inner = node.as_table()) {
        read(group, *inner, path);
      } else {
        complain(line, fmt::format("{}: expected a table [{}], got {}", path, path, name_of(node.type())));
      }
    }
  }

  void finish(GroupSpec& group, std::uint32_t line) {
    for (const auto& setting : group.settings)
      if (setting.required && !setting.given)
        complain(line, fmt::format("\"{}\" is missing", setting.key));
    for (const auto& check : group.checks)
      if (auto result = check(); !result) complain(line, result.error().message);
  }

  void complain(std::uint32_t line, const std::string& what) {
    errors_.push_back(fmt::format("{}:{}: {}", file_, line, what));
  }

 private:
  template <class Specs>
  static auto find(Specs& specs, const std::string& key) -> decltype(&specs.front()) {
    for (auto& spec : specs)
      if (spec.key == key) return &spec;
    return nullptr;
  }

  static bool is_table_name(const GroupSpec& group, const std::string& path) {
    const auto inside = [&](const std::string& key) { return key.starts_with(path + "."); };
    return std::any_of(group.settings.begin(), group.settings.end(),
                       [&](const auto& s) { return inside(s.key); }) ||
           std::any_of(group.tables.begin(), group.tables.end(), [&](const auto& t) { return inside(t.key); });
  }

  void refuse_unknown(const GroupSpec& group, const std::string& path, std::uint32_t line) {
    std::set<std::string> known;
    const auto add = [&](const std::string& key) {
      for (auto dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1))
        known.insert(key.substr(0, dot));
      if (!key.empty()) known.insert(key);
    };
    for (const auto& setting : group.settings) add(setting.key);
    for (const auto& tables : group.tables) add(tables.key);
    const auto shown = path.substr(0, kTextLengthMax);
    const auto nearest = nearest_name(shown, known);
    complain(line, nearest.empty()
                       ? fmt::format("unknown key \"{}\"", shown)
                       : fmt::format("unknown key \"{}\", did you mean \"{}\"?", shown, nearest));
  }

  void assign(SettingSpec& setting, const std::string& path, const toml::node& node, std::uint32_t line) {
    const auto type = setting.binding.type;
    const auto wrong_type = [&](const toml::node& bad) {
      complain(line, fmt::format("{}: expected {}, got {}", path, expected_of(type), name_of(bad.type())));
    };
    Result<> result;
    if (type == SettingType::kStrings && node.is_array()) {
      std::vector<std::string> texts;
      for (const auto& item : *node.as_array()) {
        auto text = text_of(item, type);
        if (!text) return wrong_type(item);
        texts.push_back(std::move(*text));
      }
      result = assign_strings(setting, texts);
    } else {
      const auto text = type == SettingType::kStrings ? std::nullopt : text_of(node, type);
      if (!text) return wrong_type(node);
      result = assign_setting(setting, *text);
    }
    if (!result) complain(line, fmt::format("{}: {}", path, result.error().message));
  }

  void read_rows(TablesSpec& tables, const std::string& path, const toml::node& node, std::uint32_t line) {
    const auto* rows = node.as_array();
    if (rows == nullptr || !rows->is_homogeneous(toml::node_type::table))
      return complain(line, fmt::format("{}: expected an array of tables [[{}]], got {}", path, path,
                                        name_of(node.type())));
    for (const auto& row : *rows) {
      const auto row_line = row.source().begin.line;
      const auto errors_before = errors_.size();
      const auto read_row = [&](const std::function<void(SettingGroup&)>& declare) -> Result<> {
        GroupSpec spec;
        spec.has_flags = false;
        SettingGroup group(spec);
        declare(group);
        read(spec, *row.as_table(), "");
        if (errors_.size() == errors_before) finish(spec, row_line);
        if (errors_.size() != errors_before) return fail(Errc::kInvalidArgument, "bad row");
        tables.rendered += render_toml_row(spec, tables.key);
        return {};
      };
      auto added = tables.add_row(read_row);
      if (!added && errors_.size() == errors_before)
        complain(row_line, fmt::format("{}: {}", path, added.error().message));
    }
  }

  const std::string file_;
  std::vector<std::string>& errors_;
};

/// Takes pipes too: `--config <(…)`.
Result<std::string> read_text(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return fail_errno("cannot read", EISDIR);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno("cannot read");
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return fail(Errc::kTooLarge, fmt::format("larger than {} bytes", kFileBytesMax));
  return text;
}

}  // namespace

void apply_toml_file(GroupSpec& group, const std::string& path, std::vector<std::string>& errors) {
  const auto content = read_text(path);
  if (!content) {
    errors.push_back(fmt::format("{}: {}", path, content.error().message));
    return;
  }
  Reader reader(path, errors);
  try {
    const auto document = toml::parse(*content, path);
    reader.read(group, document, "");
  } catch (const toml::parse_error& error) {
    reader.complain(error.source().begin.line, std::string(error.description()));
  }
}

}  // namespace tributary::detail
