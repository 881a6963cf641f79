// The only file that knows CLI11: from arguments to texts, and the command that was chosen.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "common/base/check.h"
#include "common/config/spec.h"

namespace tributary::detail {
namespace {

struct Bound {
  SettingSpec* setting;
  CLI::Option* option;
};

struct Parser {
  CommandLine line;
  std::vector<Bound> bound;
  std::vector<std::pair<CommandSpec*, CLI::App*>> commands;

  void bind(SettingSpec& setting, CLI::App& app) {
    if (setting.flags.empty() && setting.argument.empty()) return;
    auto names = setting.argument.empty() ? fmt::format("{}", fmt::join(setting.flags, ","))
                                          : setting.argument;
    CLI::Option* option = nullptr;
    if (setting.binding.type == SettingType::kBool) {
      for (const auto& flag : setting.flags)
        if (flag.starts_with("--")) names += fmt::format(",!--no-{}", flag.substr(2));
      option = app.add_flag(names);
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      option = app.add_option(names, CLI::callback_t([](const CLI::results_t&) { return true; }));
      const bool many = setting.binding.type == SettingType::kStrings;
      if (many) option->expected(1, 1 << 20);
      if (many) option->allow_extra_args(!setting.argument.empty());
      option->multi_option_policy(many ? CLI::MultiOptionPolicy::TakeAll
                                       : CLI::MultiOptionPolicy::TakeLast);
    }
    bound.push_back({&setting, option});
  }

  void build(CommandSpec& command, CLI::App& app) {
    commands.emplace_back(&command, &app);
    app.set_help_flag();
    app.allow_extras();
    app.fallthrough();
    app.add_flag("-h,--help", line.help);
    for (auto& setting : command.group.settings) bind(setting, app);
    for (auto* child : command.command_specs) build(*child, *app.add_subcommand(child->name));
  }

  [[nodiscard]] std::vector<std::string> flag_names(const CommandSpec* command) const {
    std::vector<std::string> names{"--help", "--version", "--config", "--print-config"};
    for (; command != nullptr; command = command->parent)
      for (const auto& setting : command->group.settings)
        names.insert(names.end(), setting.flags.begin(), setting.flags.end());
    return names;
  }

  [[nodiscard]] Result<> check_extras(const std::vector<std::string>& extras) const {
    if (extras.empty()) return {};
    const auto refuse = [](std::string_view what, const std::string& got, const std::string& nearest) {
      return fail(Errc::kInvalidArgument,
                  nearest.empty() ? fmt::format("{} \"{}\"", what, got)
                                  : fmt::format("{} \"{}\", did you mean \"{}\"?", what, got, nearest));
    };
    for (const auto& extra : extras) {
      if (!extra.starts_with("-") || extra == "-") continue;
      const auto name = extra.substr(0, extra.find('='));
      return refuse("unknown flag", name, nearest_name(name, flag_names(line.chosen)));
    }
    std::vector<std::string> names;
    for (const auto* child : line.chosen->command_specs) names.push_back(child->name);
    return refuse(names.empty() ? "unexpected argument" : "unknown command", extras.front(),
                  nearest_name(extras.front(), names));
  }
};

Result<> check_command_given(const CommandSpec& chosen) {
  if (chosen.command_specs.empty()) return {};
  std::vector<std::string> names;
  for (const auto* child : chosen.command_specs) names.push_back(child->name);
  return fail(Errc::kInvalidArgument, fmt::format("\"{}\" needs one of the commands {}", chosen.program.name,
                                                  fmt::join(names, ", ")));
}

std::string without_full_stop(std::string text) {
  while (!text.empty() && (text.back() == '.' || text.back() == '\n')) text.pop_back();
  return text;
}

/// "--data=" means the empty text; CLI11 would take it as "--data" without a value.
void split_empty_values(std::vector<std::string>& args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--") return;
    if (!args[i].starts_with("--") || !args[i].ends_with("=")) continue;
    args[i].pop_back();
    args.insert(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::string());
  }
}

}  // namespace

Result<CommandLine> read_command_line(CommandSpec& root, std::vector<std::string> args) {
  CLI::App app;
  Parser parser;
  parser.line.chosen = &root;
  try {
    parser.build(root, app);
    app.add_flag("--version", parser.line.version);
    app.add_flag("--print-config", parser.line.print_config);
    app.add_option("--config", parser.line.config_file);
    split_empty_values(args);
    std::reverse(args.begin(), args.end());  // as CLI11 wants its vector
    app.parse(std::move(args));
  } catch (const CLI::ParseError& error) {
    return fail(Errc::kInvalidArgument, without_full_stop(error.what()));
  } catch (const CLI::Error& error) {
    CHECK(false, "settings declared wrongly: {}", error.what());
  }
  for (const auto& [command, command_app] : parser.commands)
    if (command_app->parsed()) parser.line.chosen = command;  // parents come before their children
  if (parser.line.help || parser.line.version) return std::move(parser.line);
  RETURN_IF_ERROR(parser.check_extras(app.remaining(true)));
  if (!parser.line.print_config) RETURN_IF_ERROR(check_command_given(*parser.line.chosen));
  for (const auto& [setting, option] : parser.bound)
    if (option->count() > 0) parser.line.given.push_back({setting, option->results()});
  return std::move(parser.line);
}

}  // namespace tributary::detail
