#include "cluster/server/topic_settings.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <span>

namespace tributary {
namespace {

using Type = TopicConfigInfo::Type;
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

tl::unexpected<Error> refuse_config(std::string_view name, std::string why) {
  return fail(Errc::kInvalidArgument, fmt::format("config '{}': {}", name, why));
}

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
    {"compression.lz4.level", Type::kInt, 1, 17,
     [](TopicSettings& s, std::int64_t n) { s.log.levels.lz4 = static_cast<std::int32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.log.levels.lz4; },
     "how hard batches are compressed anew with compression.type=lz4. 9 is fast; the others are slower and pack more; "
     "above 12 it is the same"},
    {"compression.zstd.level", Type::kInt, -131'072, 22,
     [](TopicSettings& s, std::int64_t n) { s.log.levels.zstd = static_cast<std::int32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.log.levels.zstd; },
     "how hard batches are compressed anew with compression.type=zstd"},
    {"delete.retention.ms", Type::kLong, 0, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.delete_retention_ms = n; },
     [](const TopicSettings& s) { return s.delete_retention_ms; },
     "a record without a value stays so long in a compacted topic after its first cleaning"},
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
    {"max.compaction.lag.ms", Type::kLong, 1, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.cleaning.lag_ms_max = n; },
     [](const TopicSettings& s) { return s.cleaning.lag_ms_max; },
     "a compacted partition is cleaned when a record that is not clean is older, whatever min.cleanable.dirty.ratio says; "
     "the segment file that is written to is closed for it"},
    {"max.message.bytes", Type::kInt, 0, 1 << 30,
     [](TopicSettings& s, std::int64_t n) { s.log.limits.batch_bytes_max = static_cast<std::size_t>(n); },
     [](const TopicSettings& s) { return static_cast<std::int64_t>(s.log.limits.batch_bytes_max); },
     "the largest record batch that is taken, as it is stored"},
    {"min.compaction.lag.ms", Type::kLong, 0, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.cleaning.lag_ms_min = n; },
     [](const TopicSettings& s) { return s.cleaning.lag_ms_min; },
     "younger records are not compacted"},
    {"message.timestamp.after.max.ms", Type::kLong, 0, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.log.timestamp_after_ms_max = n; },
     [](const TopicSettings& s) { return s.log.timestamp_after_ms_max; },
     "a batch with a record whose create time is further ahead of the broker's clock is refused. The default is no "
     "limit, unlike Kafka's hour: a wrong clock at the edge is no reason to lose readings"},
    {"message.timestamp.before.max.ms", Type::kLong, 0, kInt64Max,
     [](TopicSettings& s, std::int64_t n) { s.log.timestamp_before_ms_max = n; },
     [](const TopicSettings& s) { return s.log.timestamp_before_ms_max; },
     "a batch with a record whose create time is further behind the broker's clock is refused. The default is no "
     "limit; what waits in gateways during an outage gets older meanwhile"},
    {"min.insync.replicas", Type::kInt, 1, kInt32Max,
     [](TopicSettings& s, std::int64_t n) { s.insync_replicas_min = static_cast<std::int32_t>(n); },
     [](const TopicSettings& s) -> std::int64_t { return s.insync_replicas_min; },
     "acks=all is refused while fewer replicas are in sync. A cluster of one broker has one"},
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

/// A config with one of a few names.
struct ChoiceConfig {
  std::string_view name;
  std::span<const std::string_view> values;
  void (*set)(TopicSettings&, std::size_t);  // the number of one of the values
  std::size_t (*get)(const TopicSettings&);
  std::string_view documentation;
};

// In the order of Compression, behind the one that leaves batches as they are.
constexpr std::string_view kCompressionTypes[] = {"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"};
static_assert(static_cast<std::size_t>(Compression::kZstd) + 2 == std::size(kCompressionTypes));
// In the order of TimestampType.
constexpr std::string_view kTimestampTypes[] = {"CreateTime", "LogAppendTime"};

constexpr ChoiceConfig kChoices[] = {
    {"compression.type", kCompressionTypes,
     [](TopicSettings& s, std::size_t n) {
       s.log.compression.reset();
       if (n > 0) s.log.compression = static_cast<Compression>(n - 1);
     },
     [](const TopicSettings& s) -> std::size_t {
       return s.log.compression ? static_cast<std::size_t>(*s.log.compression) + 1 : 0;
     },
     "producer: batches are kept as the producer compressed them; else the broker compresses those anew that have "
     "another codec"},
    {"message.timestamp.type", kTimestampTypes,
     [](TopicSettings& s, std::size_t n) { s.log.timestamp_type = static_cast<TimestampType>(n); },
     [](const TopicSettings& s) { return static_cast<std::size_t>(s.log.timestamp_type); },
     "CreateTime: records keep the time that their producer gave them. LogAppendTime: they get the broker's, when it "
     "appends them"},
};

std::string policy_of(const TopicSettings& settings) {
  return settings.compact && settings.remove_old ? "compact,delete" : settings.compact ? "compact" : "delete";
}

Result<> set_policy(TopicSettings& settings, std::string_view list) {
  settings.compact = settings.remove_old = false;
  while (true) {
    const auto comma = list.find(',');
    auto item = list.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "compact") settings.compact = true;
    else if (item == "delete") settings.remove_old = true;
    else return refuse_config("cleanup.policy", fmt::format("'{}' is neither 'delete' nor 'compact'", item));
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  settings.log.limits.keys_required = settings.compact;
  return {};
}

Result<std::int64_t> parse_number(std::string_view name, std::string_view value, std::int64_t min, std::int64_t max) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    return refuse_config(name, fmt::format("'{}' is not a number", value));
  if (number < min || number > max)
    return refuse_config(name, fmt::format("{} is not between {} and {}", number, min, max));
  return number;
}

Result<> set_gzip_level(TopicSettings& settings, std::string_view value) {
  constexpr std::string_view kName = "compression.gzip.level";
  ASSIGN_OR_RETURN(const auto level, parse_number(kName, value, CompressionLevels::kGzipDefault, 9));
  if (level == 0) return refuse_config(kName, "0 is not between 1 and 9, nor -1, the default");
  settings.log.levels.gzip = static_cast<std::int32_t>(level);
  return {};
}

Result<> set_dirty_ratio(TopicSettings& settings, std::string_view value) {
  double ratio = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ratio);
  if (error != std::errc() || end != value.data() + value.size() || !(ratio >= 0 && ratio <= 1))
    return refuse_config("min.cleanable.dirty.ratio", fmt::format("'{}' is not a number between 0 and 1", value));
  settings.cleaning.dirty_ratio_min = ratio;
  return {};
}

/// A config with a text of its own.
struct TextConfig {
  std::string_view name;
  Type type;
  Result<> (*set)(TopicSettings&, std::string_view);
  std::string (*get)(const TopicSettings&);
  std::string_view documentation;
};

constexpr TextConfig kTexts[] = {
    {"cleanup.policy", Type::kList, set_policy, policy_of,
     "delete: what retention does not keep is removed; compact: of each key the newest record is kept; or both"},
    {"compression.gzip.level", Type::kInt, set_gzip_level,
     [](const TopicSettings& s) { return std::to_string(s.log.levels.gzip); },
     "how hard batches are compressed anew with compression.type=gzip; -1: the codec's default"},
    {"min.cleanable.dirty.ratio", Type::kDouble, set_dirty_ratio,
     [](const TopicSettings& s) { return fmt::format("{}", s.cleaning.dirty_ratio_min); },
     "a compacted partition is cleaned when so much of its closed segments is not clean"},
};

/// A config that is taken only with the one value that holds here.
struct FixedConfig {
  std::string_view name;
  std::string_view value;
  Type type;
  std::string_view documentation;
};

constexpr FixedConfig kFixed[] = {
    {"preallocate", "false", Type::kBoolean, "segment files grow as they are written"},
    {"unclean.leader.election.enable", "false", Type::kBoolean, "acknowledged records are never given up"},
};

Result<> apply(TopicSettings& settings, const std::string& name, const std::string& value) {
  for (const auto& config : kNumbers) {
    if (config.name != name) continue;
    ASSIGN_OR_RETURN(const auto number, parse_number(name, value, config.min, config.max));
    config.set(settings, number);
    return {};
  }
  for (const auto& config : kChoices) {
    if (config.name != name) continue;
    const auto chosen = std::ranges::find(config.values, value);
    if (chosen == config.values.end())
      return refuse_config(name, fmt::format("'{}' is none of {}", value, fmt::join(config.values, ", ")));
    config.set(settings, static_cast<std::size_t>(chosen - config.values.begin()));
    return {};
  }
  for (const auto& config : kTexts)
    if (config.name == name) return config.set(settings, value);
  for (const auto& config : kFixed) {
    if (config.name != name) continue;
    if (config.value != value)
      return refuse_config(name, fmt::format("'{}' is not supported, only '{}': {}", value, config.value,
                                      config.documentation));
    return {};
  }
  return refuse_config(name, "not supported");
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
  if (settings.cleaning.lag_ms_max < settings.cleaning.lag_ms_min)
    return refuse_config("max.compaction.lag.ms", fmt::format("{} is less than min.compaction.lag.ms, {}",
                                                              settings.cleaning.lag_ms_max, settings.cleaning.lag_ms_min));
  return settings;
}

std::vector<TopicConfigInfo> describe_topic_configs(const TopicSettings& settings, const TopicConfigs& configs) {
  std::vector<TopicConfigInfo> all;
  const auto own = [&](std::string_view name) { return configs.contains(std::string(name)); };
  for (const auto& config : kNumbers)
    all.push_back({config.name, std::to_string(config.get(settings)), config.type, own(config.name),
                   config.documentation});
  for (const auto& config : kChoices)
    all.push_back({config.name, std::string(config.values[config.get(settings)]), Type::kString, own(config.name),
                   config.documentation});
  for (const auto& config : kTexts)
    all.push_back({config.name, config.get(settings), config.type, own(config.name), config.documentation});
  for (const auto& config : kFixed)
    all.push_back({config.name, std::string(config.value), config.type, own(config.name), config.documentation});
  std::ranges::sort(all, {}, &TopicConfigInfo::name);
  return all;
}

}  // namespace tributary
