#include "common/base/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace tributary {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument: return "invalid argument";
    case Errc::kNotFound: return "not found";
    case Errc::kAlreadyExists: return "already exists";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kUnsupported: return "unsupported";
    case Errc::kTooLarge: return "too large";
    case Errc::kOutOfRange: return "out of range";
    case Errc::kIo: return "I/O error";
    case Errc::kNoSpace: return "no space";
    case Errc::kLocked: return "locked";
    case Errc::kTimeout: return "timed out";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kFenced: return "fenced";
    case Errc::kOutOfOrderSequence: return "out of order sequence";
    case Errc::kDuplicateSequence: return "duplicate sequence";
    case Errc::kInvalidTimestamp: return "invalid timestamp";
    case Errc::kVersionMismatch: return "version mismatch";
  }
  return "unknown error";
}

namespace {
Errc errc_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: return Errc::kNoSpace;
    case ENOENT: return Errc::kNotFound;
    case EEXIST: return Errc::kAlreadyExists;
    default: return Errc::kIo;
  }
}
}  // namespace

tl::unexpected<Error> fail_errno(std::string_view what) { return fail_errno(what, errno); }

tl::unexpected<Error> fail_errno(std::string_view what, int error_number) {
  return fail(errc_of(error_number),
              fmt::format("{}: {}", what, std::generic_category().message(error_number)));
}

tl::unexpected<Error> in_context(std::string_view context, Error error) {
  error.message = fmt::format("{}: {}", context, error.message);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace tributary
