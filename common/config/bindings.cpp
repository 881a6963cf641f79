// The types that a setting can have, and the checks of one value.

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "common/config/spec.h"

namespace tributary::detail {
namespace {

struct Number {
  bool negative = false;
  std::uint64_t magnitude = 0;
  [[nodiscard]] long double value() const {
    return negative ? -static_cast<long double>(magnitude) : static_cast<long double>(magnitude);
  }
};

Result<Number> parse_number(SettingType type, std::string_view text) {
  if (type == SettingType::kBytes) {
    ASSIGN_OR_RETURN(const auto bytes, parse_byte_size(text));
    return Number{false, bytes};
  }
  if (type == SettingType::kDuration) {
    ASSIGN_OR_RETURN(const auto duration, parse_duration(text));
    return Number{false, static_cast<std::uint64_t>(duration.count())};
  }
  Number number{!text.empty() && text.front() == '-'};
  const auto digits = text.substr(number.negative ? 1 : 0);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number.magnitude);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty())
    return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is not a whole number", text));
  return number;
}

Result<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty() || !std::isfinite(value))
    return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is not a number", text));
  return value;
}

}  // namespace

Binding bind_string(std::string& target) {
  return {SettingType::kString,
          [&target](std::string_view text) -> Result<> {
            target = text;
            return {};
          },
          [&target] { return target; },
          nullptr,
          {}};
}

Binding bind_bool(bool& target) {
  return {SettingType::kBool,
          [&target](std::string_view text) -> Result<> {
            if (text != "true" && text != "false")
              return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is not true or false", text));
            target = text == "true";
            return {};
          },
          [&target]() -> std::string { return target ? "true" : "false"; },
          nullptr,
          {}};
}

Binding bind_double(double& target) {
  return {SettingType::kDouble,
          [&target](std::string_view text) -> Result<> {
            ASSIGN_OR_RETURN(target, parse_double(text));
            return {};
          },
          [&target] { return fmt::format("{}", target); },
          nullptr,
          [](std::string_view text) -> Result<long double> { return parse_double(text); }};
}

Binding bind_host_port(HostPort& target) {
  return {SettingType::kHostPort,
          [&target](std::string_view text) -> Result<> {
            ASSIGN_OR_RETURN(target, parse_host_port(text));
            return {};
          },
          [&target] { return target.host.empty() ? std::string() : target.text(); },
          nullptr,
          {}};
}

Binding bind_strings(std::vector<std::string>& target) {
  return {SettingType::kStrings,
          [&target](std::string_view text) -> Result<> {
            target.emplace_back(text);
            return {};
          },
          [] { return std::string(); },
          &target,
          {}};
}

Binding bind_number(SettingType type, std::int64_t min, std::uint64_t max,
                    std::function<void(bool negative, std::uint64_t magnitude)> set,
                    std::function<std::string()> print) {
  const auto assign = [=](std::string_view text) -> Result<> {
    ASSIGN_OR_RETURN(const auto number, parse_number(type, text));
    const bool below = number.negative && number.value() < static_cast<long double>(min);
    if (below || (!number.negative && number.magnitude > max)) {
      return fail(Errc::kInvalidArgument,
                  type == SettingType::kInteger
                      ? fmt::format("{} is out of range, expected {} to {}", text, min, max)
                      : fmt::format("{} is out of range", text));
    }
    set(number.negative, number.magnitude);
    return {};
  };
  return {type, assign, std::move(print), nullptr, [type](std::string_view text) -> Result<long double> {
            ASSIGN_OR_RETURN(const auto number, parse_number(type, text));
            return number.value();
          }};
}

Result<> assign_setting(SettingSpec& spec, const std::string& text) {
  if (!spec.choices.empty() &&
      std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
    const auto nearest = nearest_name(text, spec.choices);
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is not one of {}{}", text, fmt::join(spec.choices, ", "),
                            nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
  }
  if (!spec.min.empty()) {
    ASSIGN_OR_RETURN(const auto value, spec.binding.measure(text));
    if (value < *spec.binding.measure(spec.min) || value > *spec.binding.measure(spec.max))
      return fail(Errc::kInvalidArgument,
                  fmt::format("{} is out of range, expected {} to {}", text, spec.min, spec.max));
  }
  for (const auto& check : spec.checks) RETURN_IF_ERROR(check(text));
  RETURN_IF_ERROR(spec.binding.assign(text));
  spec.given = true;
  return {};
}

Result<> assign_strings(SettingSpec& spec, const std::vector<std::string>& texts) {
  spec.binding.strings->clear();
  spec.given = true;
  for (const auto& text : texts) RETURN_IF_ERROR(assign_setting(spec, text));
  return {};
}

}  // namespace tributary::detail
