#include "cluster/groups/subscription.h"

#include "common/bytes/reader.h"

namespace tributary {

std::optional<std::set<std::string>> subscribed_topics(ByteView metadata) {
  ByteReader reader(metadata);
  const auto version = reader.i16();
  const auto count = reader.i32();
  if (!reader.ok() || version < 0 || count < 0 || reader.remaining() / 2 < static_cast<std::size_t>(count))
    return std::nullopt;
  std::set<std::string> topics;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto length = reader.i16();
    if (!reader.ok() || length < 0) return std::nullopt;
    const auto name = reader.bytes(static_cast<std::size_t>(length));
    if (!reader.ok()) return std::nullopt;
    topics.emplace(as_string_view(name));
  }
  return topics;
}

}  // namespace tributary
