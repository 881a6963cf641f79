#include "cluster/cli/table.h"

#include <algorithm>
#include <fmt/format.h>

#include "common/base/check.h"

namespace tributary {

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size(), "{} cells for {} columns", cells.size(), columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::string> headings;
  for (const auto& column : columns_) headings.push_back(column.heading);
  std::vector<std::size_t> widths(columns_.size(), 0);
  const auto widen = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  };
  widen(headings);
  for (const auto& row : rows_) widen(row);
  std::string out;
  const auto append = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) out += "  ";
      if (columns_[i].align == Align::kLeft) out += fmt::format("{:<{}}", cells[i], widths[i]);
      else out += fmt::format("{:>{}}", cells[i], widths[i]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  append(headings);
  for (const auto& row : rows_) append(row);
  return out;
}

}  // namespace tributary
