#include "cluster/server/topic_settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <tuple>

namespace tributary {
namespace {

TEST(TopicSettingsTest, ConfigsOverrideDefaults) {
  const auto defaults = topic_defaults({});
  const auto settings = resolve_topic_settings(defaults, {{"segment.bytes", "4096"},
                                                          {"segment.ms", "1000"},
                                                          {"max.message.bytes", "100"},
                                                          {"flush.messages", "10"},
                                                          {"flush.ms", "7"},
                                                          {"index.interval.bytes", "0"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->log.segment_bytes, 4096u);
  EXPECT_EQ(settings->log.segment_ms, 1000);
  EXPECT_EQ(settings->log.limits.batch_bytes_max, 100u);
  EXPECT_EQ(settings->log.index_interval_bytes, 0u);
  EXPECT_FALSE(settings->flush_always());
  EXPECT_EQ(settings->flush_interval, std::chrono::milliseconds(7));
}

TEST(TopicSettingsTest, RecordsAreKeptForEverUnlessTheBrokerOrTheTopicSaysOtherwise) {
  EXPECT_EQ(topic_defaults({}).retention.ms, -1);
  EXPECT_EQ(topic_defaults({}).retention.bytes, -1);
  const auto defaults = topic_defaults({.retention_ms = 5, .retention_bytes = 6});
  EXPECT_EQ(defaults.retention.ms, 5);
  EXPECT_EQ(defaults.retention.bytes, 6);
  const auto own = resolve_topic_settings(defaults, {{"retention.ms", "-1"}, {"retention.bytes", "0"}});
  ASSERT_TRUE(own);
  EXPECT_EQ(own->retention.ms, -1);
  EXPECT_EQ(own->retention.bytes, 0);
}

TEST(TopicSettingsTest, TheFlushModeIsADefaultOfFlushMessages) {
  EXPECT_TRUE(topic_defaults({}).flush_always());
  EXPECT_FALSE(topic_defaults({.flush = FlushMode::kInterval}).flush_always());
}

TEST(TopicSettingsTest, WhatWouldNotWorkIsRefusedByName) {
  const auto defaults = topic_defaults({});
  const std::pair<const char*, const char*> refused[] = {
      {"retention.ms", "-2"}, {"retention.bytes", "1GiB"}, {"cleanup.policy", "compress"}, {"cleanup.policy", ""}, {"cleanup.policy", "compact,,delete"},
      {"min.cleanable.dirty.ratio", "1.1"}, {"min.cleanable.dirty.ratio", "half"}, {"delete.retention.ms", "-1"},
      {"message.timestamp.type", "logappendtime"}, {"message.timestamp.type", ""}, {"message.timestamp.before.max.ms", "-1"},
      {"compression.gzip.level", "0"}, {"compression.gzip.level", "10"}, {"compression.gzip.level", "-2"},
      {"compression.gzip.level", "best"}, {"compression.lz4.level", "0"}, {"compression.lz4.level", "18"},
      {"compression.zstd.level", "23"}, {"compression.zstd.level", "-131073"},
      {"message.timestamp.after.max.ms", "1h"}, {"compression.type", "none"}, {"compression.type", "zstd,gzip"},
      {"min.insync.replicas", "0"}, {"min.insync.replicas", "2147483648"}, {"segment.bytes", "0"}, {"segment.bytes", "2147483648"},
      {"segment.bytes", ""}, {"segment.bytes", "1k"}, {"segment.bytes", " 4096"}, {"flush.messages", "0"}, {"", ""}};
  for (const auto& [name, value] : refused) {
    const auto settings = resolve_topic_settings(defaults, {{name, value}});
    ASSERT_FALSE(settings) << name << "=" << value;
    EXPECT_NE(settings.error().message.find(name), std::string::npos);
  }
}

TEST(TopicSettingsTest, EveryDescribedValueIsTakenBack) {
  const auto defaults = topic_defaults({});
  for (const auto& info : describe_topic_configs(defaults, {}))
    EXPECT_TRUE(resolve_topic_settings(defaults, {{std::string(info.name), info.value}})) << info.name;
}

/// What is described of a topic with this config.
std::string described_after(const std::string& name, const std::string& value) {
  const TopicConfigs configs{{name, value}};
  const auto settings = resolve_topic_settings(topic_defaults({}), configs);
  if (!settings) return settings.error().message;
  const auto all = describe_topic_configs(*settings, configs);
  const auto found = std::ranges::find(all, name, &TopicConfigInfo::name);
  return found == all.end() || !found->own || found->documentation.empty() ? "not described" : found->value;
}

TEST(TopicSettingsTest, RecordsKeepTheirTimeUnlessTheTopicGivesThemTheBrokers) {
  EXPECT_EQ(topic_defaults({}).log.timestamp_type, TimestampType::kCreateTime);
  const auto append_time = resolve_topic_settings(topic_defaults({}), {{"message.timestamp.type", "LogAppendTime"}});
  ASSERT_TRUE(append_time);
  EXPECT_EQ(append_time->log.timestamp_type, TimestampType::kLogAppendTime);
  for (const auto* type : {"CreateTime", "LogAppendTime"})
    EXPECT_EQ(described_after("message.timestamp.type", type), type);
}

TEST(TopicSettingsTest, NoTimeIsRefusedUnlessTheTopicSetsALimit) {
  constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(topic_defaults({}).log.timestamp_before_ms_max, kNever);
  EXPECT_EQ(topic_defaults({}).log.timestamp_after_ms_max, kNever);
  const auto limited = resolve_topic_settings(topic_defaults({}), {{"message.timestamp.before.max.ms", "5"},
                                                                   {"message.timestamp.after.max.ms", "0"}});
  ASSERT_TRUE(limited);
  EXPECT_EQ(limited->log.timestamp_before_ms_max, 5);
  EXPECT_EQ(limited->log.timestamp_after_ms_max, 0);
  EXPECT_EQ(described_after("message.timestamp.before.max.ms", "5"), "5");
  EXPECT_EQ(described_after("message.timestamp.after.max.ms", "0"), "0");
}

TEST(TopicSettingsTest, BatchesKeepTheirCodecUnlessTheTopicHasOne) {
  EXPECT_EQ(topic_defaults({}).log.compression, std::nullopt);
  const std::pair<const char*, std::optional<Compression>> codecs[] = {
      {"producer", std::nullopt}, {"uncompressed", Compression::kNone}, {"gzip", Compression::kGzip},
      {"snappy", Compression::kSnappy}, {"lz4", Compression::kLz4}, {"zstd", Compression::kZstd}};
  for (const auto& [name, codec] : codecs) {
    const auto settings = resolve_topic_settings(topic_defaults({}), {{"compression.type", name}});
    ASSERT_TRUE(settings) << name;
    EXPECT_EQ(settings->log.compression, codec);
    EXPECT_EQ(described_after("compression.type", name), name);
  }
}

TEST(TopicSettingsTest, TheLongestLagOfCompactionIsNotBelowTheShortest) {
  EXPECT_EQ(topic_defaults({}).cleaning.lag_ms_max, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(described_after("max.compaction.lag.ms", "1"), "1");
  EXPECT_NE(described_after("max.compaction.lag.ms", "0").find("not between"), std::string::npos);
  const auto both = [](const char* min, const char* max) {
    return resolve_topic_settings(topic_defaults({}), {{"min.compaction.lag.ms", min}, {"max.compaction.lag.ms", max}});
  };
  EXPECT_TRUE(both("5", "5"));
  const auto refused = both("6", "5");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("min.compaction.lag.ms, 6"), std::string::npos);
}

TEST(TopicSettingsTest, LevelsAreKafkasAndMeanWhatTheyMeanThere) {
  const auto defaults = topic_defaults({}).log.levels;
  EXPECT_EQ(defaults.of(Compression::kGzip), std::nullopt);
  EXPECT_EQ(defaults.of(Compression::kLz4), std::nullopt);
  EXPECT_EQ(defaults.of(Compression::kZstd), 3);
  EXPECT_EQ(defaults.of(Compression::kSnappy), std::nullopt);
  const std::tuple<const char*, const char*, Compression> levels[] = {
      {"compression.gzip.level", "1", Compression::kGzip},     {"compression.gzip.level", "9", Compression::kGzip},
      {"compression.lz4.level", "1", Compression::kLz4},       {"compression.lz4.level", "17", Compression::kLz4},
      {"compression.zstd.level", "22", Compression::kZstd},    {"compression.zstd.level", "-131072", Compression::kZstd}};
  for (const auto& [name, level, codec] : levels) {
    const auto settings = resolve_topic_settings(topic_defaults({}), {{name, level}});
    ASSERT_TRUE(settings) << name << "=" << level;
    EXPECT_EQ(settings->log.levels.of(codec), std::stoi(level));
    EXPECT_EQ(described_after(name, level), level);
  }
  EXPECT_EQ(described_after("compression.gzip.level", "-1"), "-1");
}

TEST(TopicSettingsTest, OneReplicaInSyncIsEnoughUnlessTheTopicAsksForMore) {
  EXPECT_EQ(topic_defaults({}).insync_replicas_min, 1);
  const auto settings = resolve_topic_settings(topic_defaults({}), {{"min.insync.replicas", "3"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->insync_replicas_min, 3);
  EXPECT_EQ(described_after("min.insync.replicas", "3"), "3");
}

}  // namespace
}  // namespace tributary
