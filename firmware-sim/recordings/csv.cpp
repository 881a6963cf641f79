#include "firmware-sim/recordings/csv.h"

#include <fmt/format.h>

#include <unordered_set>

#include "common/base/check.h"

namespace tributary {
namespace {

bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const auto first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - first;
  };
  const auto take = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };

  take('-');
  const auto first = at;
  const auto whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
  if (take('.') && digits() == 0) return false;
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

void CsvParser::reset() {
  cells_.clear();
  bytes_ = 0;
  open_ = false;
}

Result<CsvParser::State> CsvParser::feed(std::string_view line, std::string_view line_end) {
  if (!open_) {
    reset();
    cells_.emplace_back();
  } else {
    cells_.back().text += line_end;
  }
  bytes_ += line.size() + line_end.size();

  bool closed = false;  // a quoted cell has ended; only a comma may follow
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    auto& cell = cells_.back();
    if (open_) {
      if (c != '"') cell.text += c;
      else if (i + 1 < line.size() && line[i + 1] == '"') cell.text += line[i++];
      else { open_ = false; closed = true; }
    } else if (c == ',') {
      cells_.emplace_back();
      closed = false;
    } else if (c == '"' && cell.text.empty() && !closed) {
      cell.quoted = open_ = true;
    } else if (c == '"' || closed) {
      reset();
      return fail(Errc::kCorrupt, closed ? "text after a closing quote" : "a quote inside an unquoted cell");
    } else {
      cell.text += c;
    }
  }
  return open_ ? State::kNeedsLine : State::kComplete;
}

std::vector<std::string> csv_keys(const std::vector<CsvCell>& header) {
  std::vector<std::string> keys;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < header.size(); ++i) {
    std::string key(trimmed(header[i].text));
    if (key.empty()) key = fmt::format("column{}", i + 1);
    while (!seen.insert(key).second) key += fmt::format("_{}", i + 1);
    keys.push_back(std::move(key));
  }
  return keys;
}

void append_csv_object(const std::vector<std::string>& keys, const std::vector<CsvCell>& cells,
                       std::string& out) {
  CHECK(keys.size() == cells.size(), "{} keys, {} cells", keys.size(), cells.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out += i == 0 ? '{' : ',';
    append_json_string(keys[i], out);
    out += ':';
    const auto bare = cells[i].quoted ? std::string_view(cells[i].text) : trimmed(cells[i].text);
    if (cells[i].quoted) append_json_string(bare, out);
    else if (bare.empty()) out += "null";
    else if (is_json_number(bare)) out += bare;
    else append_json_string(cells[i].text, out);
  }
  out += '}';
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  out += '"';
}

}  // namespace tributary
