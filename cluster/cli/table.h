#pragma once
// Columns of text for people.

#include <initializer_list>
#include <string>
#include <vector>

namespace tributary {

/// Rows under a heading, each column as wide as its widest cell.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell for each column.
  void add(std::vector<std::string> cells);
  /// Lines without trailing spaces; the heading alone if there are no rows.
  [[nodiscard]] std::string text() const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tributary
