#include "firmware-sim/recordings/line_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace tributary {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

Result<LineReader> LineReader::open(const std::string& path, std::size_t line_bytes_max) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return fail(Errc::kInvalidArgument, fmt::format("recording {}: a folder, not a file", path));
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return fail_errno(fmt::format("recording {}", path));
  return LineReader(path, file, line_bytes_max);
}

Result<bool> LineReader::fill() {
  buffer_.resize(kReadBytes);
  position_ = 0;
  buffer_.resize(std::fread(buffer_.data(), 1, kReadBytes, file_.get()));
  if (std::ferror(file_.get())) return fail_errno(fmt::format("recording {}", path_));
  return !buffer_.empty();
}

Result<LineReader::Line> LineReader::next(std::string& line) {
  line.clear();
  bool any = false, too_long = false;
  for (bool ended = false; !ended;) {
    if (position_ == buffer_.size()) {
      ASSIGN_OR_RETURN(const bool more, fill());
      if (!more) break;
    }
    any = true;
    const auto newline = buffer_.find('\n', position_);
    ended = newline != std::string::npos;
    const auto end = ended ? newline : buffer_.size();
    if (!too_long) line.append(buffer_, position_, end - position_);
    if (line.size() > line_bytes_max_ + 1) {  // + 1: a CR is not counted yet
      too_long = true;
      line.clear();
    }
    position_ = ended ? end + 1 : end;
  }
  if (!any) return Line::kEnd;
  ++line_number_;
  crlf_ = !line.empty() && line.back() == '\r';
  if (crlf_) line.pop_back();
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  if (too_long || line.size() > line_bytes_max_) {
    line.clear();
    return Line::kTooLong;
  }
  return Line::kWhole;
}

Result<> LineReader::rewind() {
  if (std::fseek(file_.get(), 0, SEEK_SET) != 0) return fail_errno(fmt::format("recording {}", path_));
  buffer_.clear();
  position_ = 0;
  line_number_ = 0;
  return {};
}

}  // namespace tributary
