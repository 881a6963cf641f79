#pragma once
// Every setting of a program, declared once: the TOML key, the flag, the variable with its default,
// the help, the range.
//
//   struct BrokerOptions {
//     std::string data = "./data";
//     HostPort kafka{"127.0.0.1", 9092};
//     std::uint64_t segment_bytes = 1 << 30;
//     Duration retention = std::chrono::hours(168);
//     std::string flush = "always";
//   } o;
//   Settings settings({"tributary-broker", "Keeps partition logs and serves them", TRIBUTARY_VERSION});
//   settings.add("data", o.data, "The folder that holds everything").placeholder("DIR");
//   settings.add("kafka", o.kafka, "Where Kafka clients connect");
//   settings.bytes("storage.segment_bytes", o.segment_bytes, "Size at which a segment is rolled")
//       .range("1MiB", "2GiB");                         // --storage-segment-bytes
//   settings.add("storage.retention", o.retention, "…").flag("--retention");
//   settings.add("flush", o.flush, "When fdatasync runs").choices({"always", "interval"});
//   settings.example("tributary-broker --data /var/lib/tributary", "on the usual ports");
//   if (auto code = settings.parse(argc, argv)) return *code;   // --help, --version, or bad usage: said already
//
// Precedence: default < file (--config FILE) < flag. A repeated flag replaces the file's whole list.
// Every program also has --config, --print-config (the effective settings as TOML), --help, --version.
// Errors name file and line, or the flag:
//
//   broker.toml:7: unknown key "kafak", did you mean "kafka"?
//   broker.toml:9: storage.segment_bytes: "12 parsecs" is not a byte size such as "64MiB"
//   --storage-segment-bytes: 1KiB is out of range, expected 1MiB to 2GiB
//
// One thread, at the start of main.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/values.h"

namespace tributary {

namespace detail {
struct SettingSpec;
struct GroupSpec;
struct CommandSpec;

enum class SettingType { kString, kBool, kInteger, kDouble, kBytes, kDuration, kHostPort, kStrings };

/// How one variable is read and written as text, whatever its type.
struct Binding {
  SettingType type;
  std::function<Result<>(std::string_view)> assign;  // kStrings: appends
  std::function<std::string()> print;                // without quotes; kStrings: see `strings`
  std::vector<std::string>* strings = nullptr;
  std::function<Result<long double>(std::string_view)> measure;  // for ranges; empty where there is no order
};
Binding bind_string(std::string& target);
Binding bind_bool(bool& target);
Binding bind_double(double& target);
Binding bind_host_port(HostPort& target);
Binding bind_strings(std::vector<std::string>& target);
/// Integers, bytes, and durations in nanoseconds, as sign and magnitude: every 64-bit value fits.
Binding bind_number(SettingType type, std::int64_t min, std::uint64_t max,
                    std::function<void(bool negative, std::uint64_t magnitude)> set,
                    std::function<std::string()> print);
}  // namespace detail

/// One declared setting; the calls refine it and give it back.
class Setting {
 public:
  explicit Setting(detail::SettingSpec& spec) : spec_(&spec) {}
  /// Inclusive, in the setting's own notation: range("1ms", "1h"), range("1MiB", "2GiB").
  Setting& range(std::string_view min, std::string_view max);
  Setting& range(std::int64_t min, std::int64_t max);
  Setting& choices(std::initializer_list<std::string_view> allowed);
  /// Another flag than the one made from the key ("storage.segment_bytes" -> "--storage-segment-bytes");
  /// several by comma: "--topic,-t".
  Setting& flag(std::string_view flags);
  /// In the key's place in the help: "DIR", "URL", "N". The type gives a fitting one by itself.
  Setting& placeholder(std::string_view name);
  /// What follows "(default: …)" in the help, where the default is found at run time or is empty.
  Setting& default_text(std::string_view text);
  /// It must be given by flag or file.
  Setting& required();
  /// Not in --help; in the file and on the command line all the same.
  Setting& hidden();
  /// A password: its value is in no help, no --print-config and no error.
  Setting& secret();
  /// A further check on the text of a value; the error's message says what was expected.
  Setting& check(std::function<Result<>(const std::string& text)> valid);

 private:
  detail::SettingSpec* spec_;
};

/// A set of keys: the whole file, or one table of an array of tables.
/// The variables must live as long as the group; their values at declaration are the defaults.
class SettingGroup {
 public:
  explicit SettingGroup(detail::GroupSpec& spec) : group_(&spec) {}

  Setting add(std::string_view key, std::string& target, std::string_view help);
  Setting add(std::string_view key, bool& target, std::string_view help);
  Setting add(std::string_view key, double& target, std::string_view help);
  Setting add(std::string_view key, HostPort& target, std::string_view help);
  /// A TOML array of strings; the flag may be repeated.
  Setting add(std::string_view key, std::vector<std::string>& target, std::string_view help);
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Setting add(std::string_view key, T& target, std::string_view help) {
    return integer(detail::SettingType::kInteger, key, target, help);
  }
  template <class Rep, class Period>
  Setting add(std::string_view key, std::chrono::duration<Rep, Period>& target, std::string_view help);
  /// A byte size: "64MiB", or a bare number of bytes.
  template <std::integral T>
  Setting bytes(std::string_view key, T& target, std::string_view help) {
    return integer(detail::SettingType::kBytes, key, target, help);
  }

  /// `[[key]]` in the file: for each table a new element of `rows`, whose keys `declare` declares.
  ///   settings.tables<Route>("route", o.routes, "…", [](SettingGroup& g, Route& r) {
  ///     g.add("filter", r.filter, "MQTT topic filter").required(); });
  template <class Row>
  void tables(std::string_view key, std::vector<Row>& rows, std::string_view help,
              std::function<void(SettingGroup&, Row&)> declare) {
    add_tables(key, help, [&rows, declare](const RowReader& read) -> Result<> {
      Row row{};
      RETURN_IF_ERROR(read([&](SettingGroup& group) { declare(group, row); }));
      rows.push_back(std::move(row));
      return {};
    });
  }

  /// A check across several settings, run when all are known; the error is a bad configuration.
  void check(std::function<Result<>()> valid);

 protected:
  using RowReader = std::function<Result<>(const std::function<void(SettingGroup&)>& declare)>;
  void add_tables(std::string_view key, std::string_view help,
                  std::function<Result<>(const RowReader&)> add_row);
  Setting add_binding(std::string_view key, detail::Binding binding, std::string_view help);
  template <std::integral T>
  Setting integer(detail::SettingType type, std::string_view key, T& target, std::string_view help);

  detail::GroupSpec* group_;
};

/// A program, or one of its commands.
class Settings : public SettingGroup {
 public:
  struct Program {
    std::string name;
    std::string summary;
    std::string version;
  };
  explicit Settings(Program program);
  ~Settings();
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  /// A flag without a key in the file ("--route", "--topic,-t").
  template <class T>
  Setting flag_only(std::string_view flags, T& target, std::string_view help) {
    auto setting = add(std::string_view{}, target, help);
    setting.flag(flags);
    return setting;
  }
  /// An argument without a flag, in the order of declaration; required unless given a default by the
  /// caller's `.default_text`. A vector takes all that remain.
  Setting argument(std::string_view name, std::string& target, std::string_view help);
  Setting argument(std::string_view name, std::vector<std::string>& target, std::string_view help);

  /// A command ("topic"), which may have commands of its own ("create"). Lives as long as this. Its
  /// settings are flags only; a program's own settings may be given before or after the command.
  Settings& command(std::string_view name, std::string_view summary);
  /// The command that was given, parts joined by a space ("topic create"); empty for none. A command that
  /// has commands of its own, or a program that has, must be given one of them.
  [[nodiscard]] const std::string& chosen() const;

  void example(std::string_view command_line, std::string_view explanation = {});

  /// An exit code if there is nothing more to do: after --help, --version and --print-config, or after
  /// an error that has been printed. The variables are then partly set.
  [[nodiscard]] std::optional<int> parse(int argc, const char* const* argv);
  [[nodiscard]] std::optional<int> parse(const std::vector<std::string>& args, std::ostream& out,
                                         std::ostream& err);
  /// The effective settings as a TOML document that --config takes; rows of tables as the file gave them.
  [[nodiscard]] std::string print_toml() const;
  /// Whether the flag or the file gave the setting.
  [[nodiscard]] bool given(std::string_view key_or_flag) const;

 private:
  explicit Settings(std::unique_ptr<detail::CommandSpec> spec);
  std::unique_ptr<detail::CommandSpec> spec_;
};

template <std::integral T>
Setting SettingGroup::integer(detail::SettingType type, std::string_view key, T& target,
                              std::string_view help) {
  return add_binding(
      key,
      detail::bind_number(
          type, static_cast<std::int64_t>(std::numeric_limits<T>::min()),
          static_cast<std::uint64_t>(std::numeric_limits<T>::max()),
          [&target](bool negative, std::uint64_t magnitude) {
            target = static_cast<T>(negative ? std::uint64_t{0} - magnitude : magnitude);
          },
          [&target, type] {
            return type == detail::SettingType::kBytes
                       ? format_byte_size(static_cast<std::uint64_t>(target))
                       : std::to_string(target);
          }),
      help);
}

template <class Rep, class Period>
Setting SettingGroup::add(std::string_view key, std::chrono::duration<Rep, Period>& target,
                          std::string_view help) {
  using Target = std::chrono::duration<Rep, Period>;
  return add_binding(
      key,
      detail::bind_number(
          detail::SettingType::kDuration, 0, INT64_MAX,
          [&target](bool, std::uint64_t ns) {
            target = std::chrono::duration_cast<Target>(Duration(static_cast<std::int64_t>(ns)));
          },
          [&target] { return format_duration(std::chrono::duration_cast<Duration>(target)); }),
      help);
}

}  // namespace tributary
