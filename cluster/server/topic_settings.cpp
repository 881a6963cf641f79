#include "cluster/server/topic_settings.h"

#include <charconv>
#include <limits>

namespace tributary {
namespace {

using Type = TopicConfigInfo::Type;
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

/// A config with a number in a range.
struct NumberConfig {
  std::string_view name;
  Type type;
  std::int64_t min, max;
  void (*set)(TopicSettings&, std::int64_t);
  std::int64_t (*get)(const TopicSettings&);
  std::string_view documentation;
};

constexpr NumberConfig kNumbers[] = {
    {"flush.messages", Type::kLong, 1, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.flush_messages = n; },
     [](const TopicSettings& s) { return s.flush_messages; },
     "fdatasync after so many records. 1: acks=all is answered, and records are served, after fdatasync"},
    {"flush.ms", Type::kLong, 1, kInt32Max,
     [](TopicSettings& s, std::int64_t n) { s.flush_interval = std::chrono::milliseconds(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.flush_interval.count(); },
     "fdatasync at the latest so long after a record was written"},
    {"index.interval.bytes", Type::kInt, 0, kInt32Max,
     [](TopicSettings& s, std::int64_t n) { s.log.index_interval_bytes = static_cast<std::uint32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.log.index_interval_bytes; },
     "how many bytes of the log lie between two entries of its index"},
    {"max.message.bytes", Type::kInt, 0, 1 << 30,
     [](TopicSettings& s, std::int64_t n) { s.log.limits.batch_bytes_max = static_cast<std::size_t>(n); },
     [](const TopicSettings& s) { return static_cast<std::int64_t>(s.log.limits.batch_bytes_max); },
     "the largest record batch that is taken, as it is stored"},
    {"retention.bytes", Type::kLong, -1, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.retention.bytes = n; },
     [](const TopicSettings& s) { return s.retention.bytes; },
     "the oldest segment files are removed while a partition is at least so large without them; -1: never"},
    {"retention.ms", Type::kLong, -1, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.retention.ms = n; },
     [](const TopicSettings& s) { return s.retention.ms; },
     "segment files are removed when their newest record is older; -1: never"},
    {"segment.bytes", Type::kInt, 1024, kInt32Max,
     [](TopicSettings& s, std::int64_t n) { s.log.segment_bytes = static_cast<std::uint32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.log.segment_bytes; },
     "a segment file is closed and the next one begun at this size"},
    {"segment.index.bytes", Type::kInt, 1024, kInt32Max,
     [](TopicSettings& s, std::int64_t n) { s.log.index_bytes_max = static_cast<std::uint32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.log.index_bytes_max; },
     "the largest index of a segment"},
    {"segment.ms", Type::kLong, 1, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.log.segment_ms = n; },
     [](const TopicSettings& s) { return s.log.segment_ms; },
     "a segment file is closed after this time, even if it is not full"},
};

/// A config that is taken only with the one value that holds here.
struct FixedConfig {
  std::string_view name;
  std::string_view value;
  Type type;
  std::string_view documentation;
};

constexpr FixedConfig kFixed[] = {
    {"cleanup.policy", "delete", Type::kList, "compaction is not served"},
    {"compression.type", "producer", Type::kString, "batches are kept as the producer compressed them"},
    {"message.timestamp.type", "CreateTime", Type::kString, "records keep the time that their producer gave them"},
    {"min.insync.replicas", "1", Type::kInt, "a cluster of one broker has one replica"},
    {"preallocate", "false", Type::kBoolean, "segment files grow as they are written"},
    {"unclean.leader.election.enable", "false", Type::kBoolean, "acknowledged records are never given up"},
};

tl::unexpected<Error> refuse(std::string_view name, std::string why) {
  return fail(Errc::kInvalidArgument, fmt::format("config '{}': {}", name, why));
}

Result<> apply(TopicSettings& settings, const std::string& name, const std::string& value) {
  for (const auto& config : kNumbers) {
    if (config.name != name) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      return refuse(name, fmt::format("'{}' is not a number", value));
    if (number < config.min || number > config.max)
      return refuse(name, fmt::format("{} is not between {} and {}", number, config.min, config.max));
    config.set(settings, number);
    return {};
  }
  for (const auto& config : kFixed) {
    if (config.name != name) continue;
    if (config.value != value)
      return refuse(name, fmt::format("'{}' is not supported, only '{}': {}", value, config.value,
                                      config.documentation));
    return {};
  }
  return refuse(name, "not supported");
}

}  // namespace

TopicSettings topic_defaults(const BrokerOptions& options) {
  TopicSettings settings;
  settings.flush_messages = options.flush == FlushMode::kAlways ? 1 : kInt64Max;
  settings.flush_interval = options.flush_interval;
  settings.log.segment_bytes = static_cast<std::uint32_t>(options.segment_bytes);
  settings.log.segment_ms = options.segment_ms.count();
  settings.log.limits.batch_bytes_max = options.message_bytes_max;
  settings.retention = {.ms = options.retention_ms, .bytes = options.retention_bytes};
  return settings;
}

Result<TopicSettings> resolve_topic_settings(const TopicSettings& defaults, const TopicConfigs& configs) {
  TopicSettings settings = defaults;
  for (const auto& [name, value] : configs) RETURN_IF_ERROR(apply(settings, name, value));
  return settings;
}

std::vector<TopicConfigInfo> describe_topic_configs(const TopicSettings& settings, const TopicConfigs& configs) {
  std::vector<TopicConfigInfo> all;
  const auto own = [&](std::string_view name) { return configs.contains(std::string(name)); };
  for (const auto& config : kNumbers)
    all.push_back({config.name, std::to_string(config.get(settings)), config.type, own(config.name),
                   config.documentation});
  for (const auto& config : kFixed)
    all.push_back({config.name, std::string(config.value), config.type, own(config.name), config.documentation});
  std::ranges::sort(all, {}, &TopicConfigInfo::name);
  return all;
}

}  // namespace tributary
