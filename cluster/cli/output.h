#pragma once
// Standard output of a command: buffered, and aware that its reader may leave.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tributary {

/// One thread at a time. Needs SIGPIPE ignored (StopSignal).
class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor) {}
  /// Flushes; an error is lost.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// kUnavailable once the reader has closed the pipe (`| head`), which is no failure of the program;
  /// kNoSpace, kIo otherwise. After an error everything is dropped and the same error comes again.
  [[nodiscard]] Result<> write(std::string_view text);
  [[nodiscard]] Result<> flush();

  [[nodiscard]] bool reader_left() const { return error_ && error_->code == Errc::kUnavailable; }

 private:
  const int descriptor_;
  std::string buffer_;
  std::optional<Error> error_;
};

}  // namespace tributary
