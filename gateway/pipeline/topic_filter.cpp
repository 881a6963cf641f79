#include "gateway/pipeline/topic_filter.h"

#include <cstdint>
#include <optional>

namespace tributary {
namespace {

constexpr std::size_t kTopicBytesMax = 65'535;

/// Takes the levels of a topic or filter, one after the other.
class Levels {
 public:
  explicit Levels(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    if (done_) return std::nullopt;
    const auto slash = rest_.find('/');
    const auto level = rest_.substr(0, slash);
    done_ = slash == std::string_view::npos;
    if (!done_) rest_.remove_prefix(slash + 1);
    return level;
  }

 private:
  std::string_view rest_;
  bool done_ = false;
};

bool begins_with_wildcard(std::string_view filter) {
  return filter.starts_with('#') || filter.starts_with('+');
}
bool hides_from_wildcards(std::string_view topic_or_filter) { return topic_or_filter.starts_with('$'); }

}  // namespace

Result<> check_topic_filter(std::string_view filter) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::kInvalidArgument, fmt::format("MQTT topic filter \"{}\": {}", filter, why));
  };
  if (filter.empty()) return wrong("it is empty");
  if (filter.size() > kTopicBytesMax) return wrong("it is longer than 65535 bytes");
  if (filter.find('\0') != std::string_view::npos) return wrong("it has a NUL in it");
  if (!is_utf8(filter)) return wrong("it is not UTF-8");
  if (filter.starts_with("$share/")) return wrong("a shared subscription keeps no order");
  bool ended = false;
  Levels levels(filter);
  while (const auto level = levels.next()) {
    if (ended) return wrong("'#' must be its last level");
    if (level->find('#') != std::string_view::npos) {
      if (level->size() != 1) return wrong("'#' must be a whole level");
      ended = true;
    }
    if (level->find('+') != std::string_view::npos && level->size() != 1) {
      return wrong("'+' must be a whole level");
    }
  }
  return {};
}

bool filter_matches(std::string_view filter, std::string_view topic) {
  if (begins_with_wildcard(filter) && hides_from_wildcards(topic)) return false;
  Levels filter_levels(filter);
  Levels topic_levels(topic);
  for (;;) {
    const auto expected = filter_levels.next();
    if (expected == "#") return true;  // also where the topic has ended: "a/#" matches "a"
    const auto level = topic_levels.next();
    if (!expected || !level) return !expected && !level;
    if (*expected != "+" && *expected != *level) return false;
  }
}

bool filter_covers(std::string_view outer, std::string_view inner) {
  if (begins_with_wildcard(outer) && hides_from_wildcards(inner)) return false;
  Levels outer_levels(outer);
  Levels inner_levels(inner);
  for (;;) {
    const auto wide = outer_levels.next();
    if (wide == "#") return true;
    const auto narrow = inner_levels.next();
    if (!wide || !narrow) return !wide && !narrow;
    if (*narrow == "#" || (*wide != "+" && *wide != *narrow)) return false;
  }
}

bool filters_overlap(std::string_view a, std::string_view b) {
  if ((begins_with_wildcard(a) && hides_from_wildcards(b)) ||
      (begins_with_wildcard(b) && hides_from_wildcards(a))) {
    return false;
  }
  Levels a_levels(a);
  Levels b_levels(b);
  for (;;) {
    const auto left = a_levels.next();
    const auto right = b_levels.next();
    if (left == "#" || right == "#") return true;  // '#' also stands for no level at all
    if (!left || !right) return !left && !right;
    if (*left != "+" && *right != "+" && *left != *right) return false;
  }
}

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
  while (at < text.size()) {
    const std::uint8_t lead = byte(at);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || at + length > text.size()) return false;
    std::uint32_t code = lead & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      if ((byte(at + i) & 0xc0) != 0x80) return false;
      code = code << 6 | (byte(at + i) & 0x3fu);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    at += length;
  }
  return true;
}

}  // namespace tributary
