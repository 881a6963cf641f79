#include "cluster/server/topic_settings.h"

#include <gtest/gtest.h>

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
      {"min.cleanable.dirty.ratio", "1.1"}, {"min.cleanable.dirty.ratio", "half"}, {"delete.retention.ms", "-1"}, {"message.timestamp.type", "LogAppendTime"},
      {"compression.type", "zstd"}, {"min.insync.replicas", "2"}, {"segment.bytes", "0"}, {"segment.bytes", "2147483648"},
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

}  // namespace
}  // namespace tributary
