#include "cluster/cli/line_input.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace tributary {

Result<std::optional<std::string_view>> LineInput::next() {
  for (;;) {
    const auto end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      const auto line = std::string_view(buffer_).substr(begin_, end - begin_);
      begin_ = scanned_ = end + 1;
      ++line_number_;
      return line;
    }
    scanned_ = buffer_.size();
    if (buffer_.size() - begin_ > line_bytes_max_)
      return fail(Errc::kTooLarge, fmt::format("line {} has more than {} bytes", line_number_ + 1, line_bytes_max_));
    ASSIGN_OR_RETURN(const bool more, read_more());
    if (more) continue;
    if (begin_ == buffer_.size() || stop_.requested()) return std::nullopt;
    const auto line = std::string_view(buffer_).substr(begin_);
    begin_ = scanned_ = buffer_.size();
    ++line_number_;
    return line;
  }
}

Result<bool> LineInput::read_more() {
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  std::array<pollfd, 2> wait{pollfd{descriptor_, POLLIN, 0}, pollfd{stop_.descriptor(), POLLIN, 0}};
  while (::poll(wait.data(), wait.size(), -1) < 0)
    if (errno != EINTR) return fail_errno("cannot wait for the input");
  if (stop_.requested()) return false;
  constexpr std::size_t kReadBytes = 64u << 10;
  const auto size = buffer_.size();
  buffer_.resize(size + kReadBytes);
  const auto count = ::read(descriptor_, buffer_.data() + size, kReadBytes);
  buffer_.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count >= 0) return count > 0;
  if (errno == EINTR || errno == EAGAIN) return true;
  return fail_errno("cannot read the input");
}

}  // namespace tributary
