#include "cluster/cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace tributary {
namespace {
constexpr std::size_t kBufferBytes = 64u << 10;
}

Output::~Output() { (void)flush(); }

Result<> Output::write(std::string_view text) {
  if (error_) return tl::unexpected<Error>(*error_);
  buffer_.append(text);
  return buffer_.size() < kBufferBytes ? Result<>{} : flush();
}

Result<> Output::flush() {
  if (error_) return tl::unexpected<Error>(*error_);
  std::string_view left = buffer_;
  while (!left.empty()) {
    const auto count = ::write(descriptor_, left.data(), left.size());
    if (count > 0) {
      left.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd wait{descriptor_, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      error_ = errno == EPIPE ? Error{Errc::kUnavailable, "the reader of the output has left"}
                              : fail_errno("cannot write the output").value();
      buffer_.clear();
      return tl::unexpected<Error>(*error_);
    }
  }
  buffer_.clear();
  return {};
}

}  // namespace tributary
