#pragma once
// What Settings has collected; private to common/config.

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace tributary::detail {

struct SettingSpec {
  std::string key;                 // dotted; empty: not in the file
  std::vector<std::string> flags;  // "--data", "-d"; empty: not on the command line
  std::string argument;            // its name, if it is a positional argument
  std::string help;
  std::string placeholder;
  std::string default_text;
  bool has_default_text = false;
  bool required = false;
  bool hidden = false;
  bool secret = false;
  std::string min, max;  // empty: no range
  std::vector<std::string> choices;
  std::vector<std::function<Result<>(const std::string&)>> checks;
  Binding binding;
  bool given = false;

  /// As errors and the help call it: the key, else the first flag, else the argument.
  [[nodiscard]] const std::string& name() const {
    return !key.empty() ? key : flags.empty() ? argument : flags.front();
  }
};

struct TablesSpec {
  std::string key;
  std::string help;
  std::function<Result<>(const std::function<Result<>(const std::function<void(SettingGroup&)>&)>&)> add_row;
  std::string rendered;  // the rows read so far, as TOML
};

struct GroupSpec {
  std::deque<SettingSpec> settings;  // stable addresses: Setting points here
  std::deque<TablesSpec> tables;
  std::vector<std::function<Result<>()>> checks;
  bool has_flags = true;  // false inside an array of tables
  bool has_keys = true;   // false for a command: its settings are flags only
};

struct ExampleSpec {
  std::string command_line;
  std::string explanation;
};

struct CommandSpec {
  Settings::Program program;  // name: the whole way to it, "tributary topic create"
  std::string name;           // the last word
  GroupSpec group;
  std::vector<std::unique_ptr<Settings>> commands;
  std::vector<CommandSpec*> command_specs;  // of `commands`
  std::vector<ExampleSpec> examples;
  CommandSpec* parent = nullptr;
  std::string chosen;
};

/// Checks a text against choices, range and checks, and assigns it. The error does not name the setting.
[[nodiscard]] Result<> assign_setting(SettingSpec& spec, const std::string& text);
/// All texts of a kStrings setting, in place of what it held.
[[nodiscard]] Result<> assign_strings(SettingSpec& spec, const std::vector<std::string>& texts);

/// Reads the file into the group. Every complaint ("file:line: …") goes to `errors`.
void apply_toml_file(GroupSpec& group, const std::string& path, std::vector<std::string>& errors);

/// What the command line asked for besides settings.
struct CommandLine {
  bool help = false;
  bool version = false;
  bool print_config = false;
  std::string config_file;
  CommandSpec* chosen = nullptr;
  struct Given {
    SettingSpec* setting;
    std::vector<std::string> texts;
  };
  std::vector<Given> given;  // to be assigned after the file
};
[[nodiscard]] Result<CommandLine> read_command_line(CommandSpec& root, std::vector<std::string> args);

[[nodiscard]] std::string render_help(const CommandSpec& command);
[[nodiscard]] std::string render_toml(const GroupSpec& group);
/// The keys of one table, for `[[key]]` rows: "name = value" lines.
[[nodiscard]] std::string render_toml_row(const GroupSpec& group, const std::string& table_key);

}  // namespace tributary::detail
