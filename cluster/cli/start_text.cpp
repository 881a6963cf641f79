#include "cluster/cli/start_text.h"

#include <charconv>

#include "cluster/cli/text.h"

namespace tributary {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

Result<StartAt> parse_start(std::string_view text) {
  if (text == "earliest" || text == "beginning") return StartAt::earliest();
  if (text == "latest" || text == "end") return StartAt::latest();
  if (const auto offset = whole_number(text)) return StartAt::offset(Offset(*offset));
  if (text.starts_with('@'))
    if (const auto wall_ms = whole_number(text.substr(1))) return StartAt::time(*wall_ms);
  if (const auto time = parse_time(text)) return StartAt::time(*time);
  return fail(Errc::kInvalidArgument,
              fmt::format("\"{}\" is no place to start; expected earliest, latest, an offset (1234), a time "
                          "(2026-07-01T12:00:00Z) or milliseconds since 1970 (@1700000000000)", text));
}

Result<StartAt> parse_place(std::string_view text) {
  if (text == "max-timestamp") return StartAt::max_timestamp();
  if (const auto start = parse_start(text); start && start->kind != StartAt::Kind::kOffset) return start;
  return fail(Errc::kInvalidArgument,
              fmt::format("\"{}\" is no place in a topic; expected earliest, latest, max-timestamp, a time "
                          "(2026-07-01T12:00:00Z) or milliseconds since 1970 (@1700000000000)", text));
}

}  // namespace tributary
