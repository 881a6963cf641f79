#pragma once
// Errors as values. An operation that can fail in operation (I/O, input, peers) returns Result<T>;
// a broken invariant is a bug and ends the process through CHECK (check.h).

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace tributary {

enum class Errc {
  kInvalidArgument,   // the caller's input is wrong (flag, config value, topic name)
  kNotFound,
  kAlreadyExists,
  kCorrupt,           // bytes that fail their checks: CRC, length, magic, format
  kUnsupported,       // well formed, but a version or a feature that is not served
  kTooLarge,          // over a configured limit
  kOutOfRange,        // an offset outside of the log
  kIo,                // the operating system refused; the message has errno's text
  kNoSpace,           // ENOSPC, EDQUOT, or a configured cap
  kLocked,            // another owns it: a process the folder, its members the group
  kTimeout,
  kUnavailable,       // not connected, offline, shutting down: try again later
  kFenced,            // an older producer epoch; a group member whose place another has
  kOutOfOrderSequence,
  kDuplicateSequence,
  kInvalidTimestamp,  // a record's time is not one that its topic takes
  kVersionMismatch,   // put-if-version lost the race
};

[[nodiscard]] std::string_view name_of(Errc code);

struct Error {
  Errc code;
  std::string message;  // names the thing and the way out; no trailing period
};

template <class T = void>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// The current errno as an Error: "<what>: <errno text>". ENOSPC and EDQUOT become kNoSpace,
/// ENOENT kNotFound, EEXIST kAlreadyExists, everything else kIo.
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view what);
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view what, int error_number);

/// The same error with `context + ": "` in front of its message.
[[nodiscard]] tl::unexpected<Error> in_context(std::string_view context, Error error);

}  // namespace tributary

#define TRIBUTARY_CONCAT_INNER(a, b) a##b
#define TRIBUTARY_CONCAT(a, b) TRIBUTARY_CONCAT_INNER(a, b)

/// Returns the error of `expr` (a Result) from the enclosing function, if it has one.
#define RETURN_IF_ERROR(expr)                                                    \
  do {                                                                           \
    if (auto tributary_result_ = (expr); !tributary_result_)                     \
      return ::tl::unexpected<::tributary::Error>(std::move(tributary_result_).error()); \
  } while (false)

/// `ASSIGN_OR_RETURN(auto x, f())`: x is the value of f(), or its error is returned.
#define ASSIGN_OR_RETURN(declaration, expr) \
  ASSIGN_OR_RETURN_INNER(TRIBUTARY_CONCAT(tributary_result_, __LINE__), declaration, expr)
#define ASSIGN_OR_RETURN_INNER(temporary, declaration, expr)                        \
  auto temporary = (expr);                                                          \
  if (!temporary) return ::tl::unexpected<::tributary::Error>(std::move(temporary).error()); \
  declaration = *std::move(temporary)
