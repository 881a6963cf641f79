#include "common/config/settings.h"

#include <fmt/format.h>

#include <iostream>

#include "common/base/check.h"
#include "common/config/exit_codes.h"
#include "common/config/spec.h"

namespace tributary {
namespace {

std::vector<std::string> split_flags(std::string_view flags) {
  std::vector<std::string> out;
  while (!flags.empty()) {
    const auto comma = flags.find(',');
    out.emplace_back(flags.substr(0, comma));
    flags = comma == std::string_view::npos ? std::string_view{} : flags.substr(comma + 1);
  }
  return out;
}

std::string flag_of_key(std::string_view key) {
  std::string flag = "--";
  for (const char c : key) flag += c == '.' || c == '_' ? '-' : c;
  return flag;
}

/// Flags are assigned after the file: they win.
void assign_flags(const detail::CommandLine& line, std::vector<std::string>& errors) {
  for (const auto& [setting, texts] : line.given) {
    const auto result = setting->binding.strings != nullptr ? assign_strings(*setting, texts)
                                                            : assign_setting(*setting, texts.back());
    const auto& name = setting->argument.empty() ? setting->flags.front() : setting->argument;
    if (!result) errors.push_back(fmt::format("{}: {}", name, result.error().message));
  }
}

void check_required(const detail::GroupSpec& group, std::vector<std::string>& errors) {
  for (const auto& setting : group.settings) {
    if (!setting.required || setting.given) continue;
    if (!setting.argument.empty()) errors.push_back(fmt::format("{} is missing", setting.argument));
    else if (setting.key.empty()) errors.push_back(fmt::format("{} is required", setting.flags.front()));
    else
      errors.push_back(fmt::format("{} is required (or \"{}\" in the file)", setting.flags.front(), setting.key));
  }
}

}  // namespace

Setting& Setting::range(std::string_view min, std::string_view max) {
  const auto& measure = spec_->binding.measure;
  CHECK(measure && measure(min) && measure(max), "bad range {} to {} of {}", min, max, spec_->name());
  spec_->min = min;
  spec_->max = max;
  return *this;
}
Setting& Setting::range(std::int64_t min, std::int64_t max) {
  return range(std::to_string(min), std::to_string(max));
}
Setting& Setting::choices(std::initializer_list<std::string_view> allowed) {
  spec_->choices.assign(allowed.begin(), allowed.end());
  return *this;
}
Setting& Setting::flag(std::string_view flags) {
  spec_->flags = split_flags(flags);
  return *this;
}
Setting& Setting::placeholder(std::string_view name) {
  spec_->placeholder = name;
  return *this;
}
Setting& Setting::default_text(std::string_view text) {
  spec_->default_text = text;
  spec_->has_default_text = true;
  if (!spec_->argument.empty()) spec_->required = false;
  return *this;
}
Setting& Setting::required() {
  spec_->required = true;
  return *this;
}
Setting& Setting::hidden() {
  spec_->hidden = true;
  return *this;
}
Setting& Setting::secret() {
  spec_->secret = true;
  return *this;
}
Setting& Setting::check(std::function<Result<>(const std::string& text)> valid) {
  spec_->checks.push_back(std::move(valid));
  return *this;
}

Setting SettingGroup::add_binding(std::string_view key, detail::Binding binding, std::string_view help) {
  for (const auto& other : group_->settings)
    CHECK(key.empty() || other.key != key, "setting {} is declared twice", key);
  auto& spec = group_->settings.emplace_back();
  if (group_->has_keys) spec.key = key;
  if (group_->has_flags && !key.empty()) spec.flags = {flag_of_key(key)};
  spec.help = help;
  spec.binding = std::move(binding);
  return Setting(spec);
}
Setting SettingGroup::add(std::string_view key, std::string& target, std::string_view help) {
  return add_binding(key, detail::bind_string(target), help);
}
Setting SettingGroup::add(std::string_view key, bool& target, std::string_view help) {
  return add_binding(key, detail::bind_bool(target), help);
}
Setting SettingGroup::add(std::string_view key, double& target, std::string_view help) {
  return add_binding(key, detail::bind_double(target), help);
}
Setting SettingGroup::add(std::string_view key, HostPort& target, std::string_view help) {
  return add_binding(key, detail::bind_host_port(target), help);
}
Setting SettingGroup::add(std::string_view key, std::vector<std::string>& target, std::string_view help) {
  return add_binding(key, detail::bind_strings(target), help);
}
void SettingGroup::add_tables(std::string_view key, std::string_view help,
                              std::function<Result<>(const RowReader&)> add_row) {
  CHECK(group_->has_keys, "[[{}]] outside of a file", key);
  group_->tables.push_back({std::string(key), std::string(help), std::move(add_row), {}});
}
void SettingGroup::check(std::function<Result<>()> valid) { group_->checks.push_back(std::move(valid)); }

Settings::Settings(Program program) : Settings([&] {
  auto spec = std::make_unique<detail::CommandSpec>();
  spec->name = program.name;
  spec->program = std::move(program);
  return spec;
}()) {}
Settings::Settings(std::unique_ptr<detail::CommandSpec> spec)
    : SettingGroup(spec->group), spec_(std::move(spec)) {}
Settings::~Settings() = default;

Setting Settings::argument(std::string_view name, std::string& target, std::string_view help) {
  auto setting = add_binding({}, detail::bind_string(target), help);
  group_->settings.back().argument = name;
  return setting.required();
}
Setting Settings::argument(std::string_view name, std::vector<std::string>& target, std::string_view help) {
  auto setting = add_binding({}, detail::bind_strings(target), help);
  group_->settings.back().argument = name;
  return setting.required();
}

Settings& Settings::command(std::string_view name, std::string_view summary) {
  auto spec = std::make_unique<detail::CommandSpec>();
  spec->name = name;
  spec->program = {fmt::format("{} {}", spec_->program.name, name), std::string(summary),
                   spec_->program.version};
  spec->parent = spec_.get();
  spec->group.has_keys = false;
  spec_->command_specs.push_back(spec.get());
  spec_->commands.push_back(std::unique_ptr<Settings>(new Settings(std::move(spec))));
  return *spec_->commands.back();
}

const std::string& Settings::chosen() const { return spec_->chosen; }

void Settings::example(std::string_view command_line, std::string_view explanation) {
  spec_->examples.push_back({std::string(command_line), std::string(explanation)});
}

std::optional<int> Settings::parse(int argc, const char* const* argv) {
  return parse(std::vector<std::string>(argv + std::min(argc, 1), argv + argc), std::cout, std::cerr);
}

std::optional<int> Settings::parse(const std::vector<std::string>& args, std::ostream& out,
                                   std::ostream& err) {
  const auto& program = spec_->program;
  auto line = detail::read_command_line(*spec_, args);
  if (!line) {
    err << fmt::format("{}: {}\nTry '{} --help'.\n", program.name, line.error().message, program.name);
    return kExitUsage;
  }
  if (line->help) {
    out << detail::render_help(*line->chosen) << std::flush;
    return kExitOk;
  }
  if (line->version) {
    out << fmt::format("{} {}\n", program.name, program.version) << std::flush;
    return kExitOk;
  }
  for (const auto* at = line->chosen; at->parent != nullptr; at = at->parent)
    spec_->chosen = at->name + (spec_->chosen.empty() ? "" : " ") + spec_->chosen;

  std::vector<std::string> errors;
  if (!line->config_file.empty()) detail::apply_toml_file(spec_->group, line->config_file, errors);
  assign_flags(*line, errors);
  for (const auto* at = line->chosen; errors.empty() && at != nullptr; at = at->parent) {
    if (!line->print_config) check_required(at->group, errors);
    for (const auto& check : at->group.checks)
      if (auto result = check(); !result && errors.empty()) errors.push_back(result.error().message);
  }
  for (const auto& error : errors) err << error << "\n";
  if (!errors.empty()) {
    err << std::flush;
    return kExitUsage;
  }
  if (line->print_config) {
    out << print_toml() << std::flush;
    return kExitOk;
  }
  return std::nullopt;
}

std::string Settings::print_toml() const { return detail::render_toml(spec_->group); }

bool Settings::given(std::string_view key_or_flag) const {
  for (const auto& setting : spec_->group.settings)
    if (setting.key == key_or_flag || setting.argument == key_or_flag ||
        std::find(setting.flags.begin(), setting.flags.end(), key_or_flag) != setting.flags.end())
      return setting.given;
  CHECK(false, "no setting is called {}", key_or_flag);
  return false;
}

}  // namespace tributary
