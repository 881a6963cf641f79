#include "common/base/topic_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {

Result<> validate_topic_name(std::string_view name) {
  constexpr std::size_t kNameMax = 249;  // so that "<name>-<partition>" fits a folder's name
  if (name.empty()) return fail(Errc::kInvalidArgument, "a topic's name must not be empty");
  if (name == "." || name == "..")
    return fail(Errc::kInvalidArgument, fmt::format("a topic cannot be named '{}'", name));
  if (name.size() > kNameMax)
    return fail(Errc::kInvalidArgument,
                fmt::format("a topic's name has at most {} characters, not {}", kNameMax, name.size()));
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), allowed))
    return fail(Errc::kInvalidArgument,
                "a topic's name may hold only ASCII letters and digits, '.', '_' and '-'");
  return {};
}

}  // namespace tributary
