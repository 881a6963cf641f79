// --help and --print-config.

#include <fmt/format.h>

#include "common/config/spec.h"

namespace tributary::detail {
namespace {

constexpr std::size_t kHelpColumn = 30;
constexpr std::size_t kHelpWidth = 100;

std::string_view placeholder_of(SettingType type) {
  switch (type) {
    case SettingType::kBool: return "";
    case SettingType::kInteger:
    case SettingType::kDouble: return "N";
    case SettingType::kBytes: return "SIZE";
    case SettingType::kDuration: return "DURATION";
    case SettingType::kHostPort: return "HOST:PORT";
    default: return "TEXT";
  }
}

/// Appends words to a line that is `column` long, and goes on at `indent` where kHelpWidth is reached.
void append_wrapped(std::string& out, std::string_view text, std::size_t column, std::size_t indent) {
  bool first = true;
  while (!text.empty()) {
    const auto space = text.find(' ');
    const auto word = text.substr(0, space);
    if (!first && column + 1 + word.size() > kHelpWidth) {
      (out += '\n').append(indent, ' ');
      column = indent;
    } else if (!first) {
      out += ' ';
      ++column;
    }
    first = false;
    out += word;
    column += word.size();
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  }
  out += '\n';
}

/// "  left          right".
std::string two_columns(const std::string& left, std::string_view right) {
  auto out = fmt::format("  {}", left);
  if (out.size() + 2 > kHelpColumn) (out += '\n').append(kHelpColumn, ' ');
  else out.resize(kHelpColumn, ' ');
  append_wrapped(out, right, kHelpColumn, kHelpColumn);
  return out;
}

std::string default_of(const SettingSpec& setting) {
  if (setting.has_default_text) return setting.default_text;
  if (setting.secret) return {};
  if (setting.binding.strings != nullptr) return fmt::format("{}", fmt::join(*setting.binding.strings, " "));
  const auto value = setting.binding.print();
  return setting.binding.type == SettingType::kBool && value == "false" ? "" : value;
}

bool is_on_by_default(const SettingSpec& setting) {
  return setting.binding.type == SettingType::kBool && setting.binding.print() == "true";
}

std::string help_line(const SettingSpec& setting) {
  auto left = setting.argument.empty() ? fmt::format("{}", fmt::join(setting.flags, ", ")) : setting.argument;
  if (is_on_by_default(setting) && left.starts_with("--")) left = fmt::format("--[no-]{}", left.substr(2));
  const std::string placeholder(setting.placeholder.empty() ? placeholder_of(setting.binding.type)
                                                            : std::string_view(setting.placeholder));
  if (setting.argument.empty() && !placeholder.empty()) left += " " + placeholder;
  auto text = setting.help;
  if (!setting.choices.empty()) text += fmt::format("; one of {}", fmt::join(setting.choices, ", "));
  if (!setting.min.empty()) text += fmt::format("; {} to {}", setting.min, setting.max);
  if (setting.binding.type == SettingType::kStrings && setting.argument.empty()) text += "; may be repeated";
  if (const auto value = default_of(setting); setting.required) text += " (required)";
  else if (!value.empty()) text += fmt::format(" (default: {})", value);
  return two_columns(left, text);
}

std::string usage_line(const CommandSpec& command) {
  auto usage = fmt::format("Usage: {} [flags]", command.program.name);
  for (const auto& setting : command.group.settings) {
    if (setting.argument.empty()) continue;
    const auto dots = setting.binding.strings != nullptr ? "..." : "";
    usage += setting.required ? fmt::format(" {}{}", setting.argument, dots)
                              : fmt::format(" [{}{}]", setting.argument, dots);
  }
  if (!command.command_specs.empty()) usage += " COMMAND";
  return usage + "\n";
}

bool has_keys(const GroupSpec& group) {
  return !group.tables.empty() || std::any_of(group.settings.begin(), group.settings.end(),
                                              [](const auto& s) { return !s.key.empty(); });
}

std::string flags_section(const CommandSpec& command) {
  std::string out;
  for (const auto& setting : command.group.settings)
    if (!setting.hidden && !setting.flags.empty()) out += help_line(setting);
  if (command.parent == nullptr && has_keys(command.group)) {
    out += two_columns("--config FILE", "Read settings from a TOML file; flags win over it");
    out += two_columns("--print-config", "Print the effective settings as TOML, and end");
  }
  if (command.parent == nullptr) out += two_columns("--version", "Print the version, and end");
  out += two_columns("-h, --help", "Print this help, and end");
  return out;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += fmt::format("\\{}", c);
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\u{:04X}", c);
    else out += c;
  }
  return out + "\"";
}

std::string toml_value(const SettingSpec& setting) {
  switch (setting.binding.type) {
    case SettingType::kBool:
    case SettingType::kInteger:
    case SettingType::kDouble: return setting.binding.print();
    case SettingType::kStrings: {
      std::vector<std::string> items;
      for (const auto& text : *setting.binding.strings) items.push_back(toml_string(text));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    default: return toml_string(setting.binding.print());
  }
}

/// Secrets stay out.
/// An address that is not set has no text that the file would take back: leave it out.
bool printable(const SettingSpec& setting) {
  return !setting.key.empty() && !setting.secret &&
         !(setting.binding.type == SettingType::kHostPort && setting.binding.print().empty()) &&
         !(setting.binding.strings == nullptr && !setting.given && setting.binding.print().empty());
}

/// The settings by the table they are in, those of the top level first.
std::string render_tables(const GroupSpec& group, const std::string& prefix) {
  std::map<std::string, std::string> tables;
  for (const auto& setting : group.settings) {
    if (!printable(setting)) continue;
    const auto dot = setting.key.rfind('.');
    const auto table = dot == std::string::npos ? "" : setting.key.substr(0, dot);
    const auto name = dot == std::string::npos ? setting.key : setting.key.substr(dot + 1);
    tables[table] += fmt::format("{} = {}\n", name, toml_value(setting));
  }
  std::string out;
  for (const auto& [table, lines] : tables)
    out += table.empty() ? lines : fmt::format("\n[{}{}]\n{}", prefix, table, lines);
  return out;
}

}  // namespace

std::string render_help(const CommandSpec& command) {
  auto out = fmt::format("{}: ", command.program.name);
  append_wrapped(out, command.program.summary, out.size(), 2);
  (out += '\n') += usage_line(command);
  std::string arguments;
  for (const auto& setting : command.group.settings)
    if (!setting.argument.empty()) arguments += help_line(setting);
  if (!arguments.empty()) out += "\nArguments:\n" + arguments;
  if (!command.command_specs.empty()) {
    out += "\nCommands:\n";
    for (const auto* child : command.command_specs) out += two_columns(child->name, child->program.summary);
  }
  out += "\nFlags:\n" + flags_section(command);
  for (const auto* up = command.parent; up != nullptr; up = up->parent) {
    std::string shared;
    for (const auto& setting : up->group.settings)
      if (!setting.hidden && !setting.flags.empty()) shared += help_line(setting);
    if (!shared.empty()) out += fmt::format("\nFlags of {}:\n{}", up->program.name, shared);
  }
  for (const auto& tables : command.group.tables)
    out += fmt::format("\nIn the file only:\n{}", two_columns(fmt::format("[[{}]]", tables.key), tables.help));
  if (!command.examples.empty()) out += "\nExamples:\n";
  for (const auto& example : command.examples) {
    if (!example.explanation.empty()) out += fmt::format("  # {}\n", example.explanation);
    out += fmt::format("  {}\n", example.command_line);
  }
  return out;
}

std::string render_toml(const GroupSpec& group) {
  auto out = render_tables(group, "");
  for (const auto& tables : group.tables) out += tables.rendered;
  return out;
}

std::string render_toml_row(const GroupSpec& group, const std::string& table_key) {
  return fmt::format("\n[[{}]]\n{}", table_key, render_tables(group, table_key + "."));
}

}  // namespace tributary::detail
