#pragma once
// CSV rows (RFC 4180) to JSON objects. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace tributary {

struct CsvCell {
  std::string text;
  bool quoted = false;
};

/// Splits records that may span lines: a quoted cell may hold commas, line ends and doubled quotes.
/// Feed line by line until a record is complete.
class CsvParser {
 public:
  enum class State { kComplete, kNeedsLine };

  /// Starts a record with `line`, or continues the one that needs a line. `line_end` is what ended the
  /// line before this one, and is put into the open cell. kCorrupt on a quote inside an unquoted cell,
  /// or text after a closing quote; the parser is then ready for a new record.
  [[nodiscard]] Result<State> feed(std::string_view line, std::string_view line_end);
  /// The cells of the record that feed() completed; valid until the next feed().
  [[nodiscard]] const std::vector<CsvCell>& cells() const { return cells_; }
  [[nodiscard]] bool inside_record() const { return open_; }
  /// Bytes held for an unfinished record.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  void reset();

 private:
  std::vector<CsvCell> cells_;
  std::size_t bytes_ = 0;
  bool open_ = false;  // inside a quoted cell that has not ended
};

/// The keys of the objects: trimmed header cells; an empty one becomes "column3" (from 1), and one that is
/// there already gets its column's number appended.
[[nodiscard]] std::vector<std::string> csv_keys(const std::vector<CsvCell>& header);

/// {"key":value,…}: an unquoted cell that is a JSON number (RFC 8259 section 6) stays one, digit for
/// digit; an empty unquoted cell is null; everything else is a string. `out` is appended to.
/// `keys` and `cells` have the same size, and all text is valid UTF-8.
void append_csv_object(const std::vector<std::string>& keys, const std::vector<CsvCell>& cells,
                       std::string& out);

/// Appends `text` as a JSON string; everything but '"', '\' and control characters stays as it is.
void append_json_string(std::string_view text, std::string& out);

}  // namespace tributary
