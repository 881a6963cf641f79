#pragma once
// CHECK ends the process on a bug: a broken invariant, never bad input or a failed system call.
// The message names the invariant and prints its values.

#include <string>

namespace tributary::detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);
}

/// CHECK(condition) or CHECK(condition, "committed {} <= stable {}", a, b).
#define CHECK(condition, ...)                                                        \
  do {                                                                               \
    if (!(condition)) [[unlikely]]                                                   \
      ::tributary::detail::check_failed(__FILE__, __LINE__, #condition,              \
                                        ::tributary::detail::check_message(__VA_ARGS__)); \
  } while (false)

#include <fmt/format.h>

namespace tributary::detail {
inline std::string check_message() { return {}; }
template <class... Args>
std::string check_message(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace tributary::detail
