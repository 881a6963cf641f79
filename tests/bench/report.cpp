#include "tests/bench/report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/base/check.h"

namespace tributary::bench {
namespace {

std::string_view sign(Want want) {
  switch (want) {
    case Want::kAtLeast: return ">=";
    case Want::kAtMost: return "<=";
    case Want::kBelow: return "<";
    case Want::kNothing: return "";
  }
  return "?";
}

std::string number(double value) {
  if (value == 0) return "0";
  if (std::abs(value) >= 1000) return grouped(value);
  return std::abs(value) >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.3f}", value);
}

std::string with_unit(double value, const std::string& unit) {
  return unit.empty() ? number(value) : fmt::format("{} {}", number(value), unit);
}

std::string target_text(const Row& row) {
  return row.want == Want::kNothing ? "-" : fmt::format("{} {}", sign(row.want), with_unit(row.target, row.unit));
}

}  // namespace

double median(std::vector<double> values) {
  CHECK(!values.empty(), "the median of nothing");
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

bool Row::ok() const {
  if (values.empty()) return false;
  switch (want) {
    case Want::kAtLeast: return value() >= target;
    case Want::kAtMost: return value() <= target;
    case Want::kBelow: return value() < target;
    case Want::kNothing: return true;
  }
  return false;
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> lines{{"figure", "measured", "limit", "median", "runs", "target", ""}};
  for (const auto& row : rows) {
    if (row.values.empty()) {
      lines.push_back({row.figure, row.measured, row.limit, "-", "-",
                       target_text(row), "FAILED " + row.note});
      continue;
    }
    const auto [low, high] = std::minmax_element(row.values.begin(), row.values.end());
    lines.push_back({row.figure, row.measured, row.limit, with_unit(row.value(), row.unit),
                     fmt::format("{}: {} to {}", row.values.size(), number(*low), number(*high)),
                     target_text(row), std::string(row.want == Want::kNothing ? "" : row.ok() ? "ok" : "SHORT") + (row.note.empty() ? "" : "  (" + row.note + ")")});
  }
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) text += fmt::format("{:<{}}  ", line[i], widths[i]);
    text += line.back() + "\n";
  }
  return text;
}

std::string json(const std::vector<Row>& rows) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    nlohmann::ordered_json one = {{"figure", row.figure}, {"measured", row.measured}, {"limit", row.limit},
                                  {"values", row.values}, {"want", sign(row.want)}, {"target", row.target},
                                  {"unit", row.unit}, {"ok", row.ok()}, {"note", row.note}};
    if (!row.values.empty()) one["median"] = row.value();
    all.push_back(std::move(one));
  }
  return all.dump(2) + "\n";
}

std::string grouped(double number_) {
  auto digits = fmt::format("{:.0f}", number_);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number_ < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

}  // namespace tributary::bench
