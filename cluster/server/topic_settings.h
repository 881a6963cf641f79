#pragma once
// A topic's configuration: which of Kafka's names are served, what they mean here, what they default to.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/metadata/topic_registry.h"
#include "cluster/server/broker_options.h"
#include "cluster/storage/log.h"

namespace tributary {

/// What a partition goes by.
struct TopicSettings {
  LogConfig log;
  std::int64_t flush_messages = 1;               // flush.messages: fdatasync after so many records
  std::chrono::milliseconds flush_interval{1'000};  // flush.ms: and at the latest after so long
  RetentionLimits retention;                     // retention.ms, retention.bytes
  std::int32_t insync_replicas_min = 1;          // min.insync.replicas: for acks=all
  bool remove_old = true;                        // cleanup.policy has "delete": by retention and DeleteRecords
  bool compact = false;                          // cleanup.policy has "compact"
  CleaningLimits cleaning;                       // min.cleanable.dirty.ratio, min.… and max.compaction.lag.ms
  std::int64_t delete_retention_ms = 86'400'000;  // delete.retention.ms: how long tombstones stay

  /// acks=all waits for fdatasync, and nothing is served before it.
  [[nodiscard]] bool flush_always() const { return flush_messages == 1; }
};

/// The broker's own: what topics get that do not say.
[[nodiscard]] TopicSettings topic_defaults(const BrokerOptions& options);

/// `defaults` with `configs` over them. kInvalidArgument, naming the config, for one that is not served
/// or has a value that is: a setting that would not work is refused rather than ignored.
[[nodiscard]] Result<TopicSettings> resolve_topic_settings(const TopicSettings& defaults,
                                                           const TopicConfigs& configs);

struct TopicConfigInfo {
  enum class Type { kInt, kLong, kDouble, kString, kList, kBoolean };
  std::string_view name;
  std::string value;
  Type type;
  bool own;  // set on the topic
  std::string_view documentation;
};

/// Every config that is served, sorted by name, with its effective value.
[[nodiscard]] std::vector<TopicConfigInfo> describe_topic_configs(const TopicSettings& settings,
                                                                  const TopicConfigs& configs);

}  // namespace tributary
