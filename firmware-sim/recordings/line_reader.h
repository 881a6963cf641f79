#pragma once
// A text file, line by line, in bounded memory.

#include <cstdio>
#include <memory>
#include <string>

#include "common/base/result.h"

namespace tributary {

/// Not thread-safe. Lines end with LF, or CR LF; the last one may lack its end. A UTF-8 byte order mark
/// at the start of the file is skipped.
class LineReader {
 public:
  enum class Line {
    kWhole,    // `line` holds it, without its end
    kTooLong,  // over `line_bytes_max`: skipped whole, `line` is empty
    kEnd,      // there is no further line
  };

  [[nodiscard]] static Result<LineReader> open(const std::string& path, std::size_t line_bytes_max);

  [[nodiscard]] Result<Line> next(std::string& line);
  /// The number, from 1, of the line that next() gave last.
  [[nodiscard]] std::int64_t line_number() const { return line_number_; }
  /// Whether the last line's end was CR LF.
  [[nodiscard]] bool ended_with_crlf() const { return crlf_; }
  [[nodiscard]] Result<> rewind();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  LineReader(std::string path, std::FILE* file, std::size_t line_bytes_max)
      : path_(std::move(path)), file_(file), line_bytes_max_(line_bytes_max) {}
  [[nodiscard]] Result<bool> fill();

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::size_t line_bytes_max_;
  std::string buffer_;
  std::size_t position_ = 0;
  std::int64_t line_number_ = 0;
  bool crlf_ = false;
};

}  // namespace tributary
