#pragma once
// Standard input, line by line, until its end or a stop signal.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/env/signals.h"

namespace tributary {

/// One thread at a time. Holds at most one line and one read.
class LineInput {
 public:
  LineInput(int descriptor, const StopSignal& stop, std::size_t line_bytes_max)
      : descriptor_(descriptor), stop_(stop), line_bytes_max_(line_bytes_max) {}

  /// The next line without its '\n' (the last one need not have one), valid until the next call;
  /// nothing at the end of the input or when a stop is asked for. kTooLarge names the line.
  [[nodiscard]] Result<std::optional<std::string_view>> next();

  /// Of the line that was given last, from 1.
  [[nodiscard]] std::int64_t line_number() const { return line_number_; }

 private:
  /// False at the end of the input, or when a stop is asked for.
  [[nodiscard]] Result<bool> read_more();

  const int descriptor_;
  const StopSignal& stop_;
  const std::size_t line_bytes_max_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of what was not given yet
  std::size_t scanned_ = 0;  // no '\n' before this
  std::int64_t line_number_ = 0;
};

}  // namespace tributary
