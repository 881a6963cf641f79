#pragma once
// Topics that the broker keeps for itself. Clients may read them, and not write, create or delete them.

#include <string_view>

#include "cluster/server/broker_options.h"
#include "cluster/server/controller.h"

namespace tributary {

/// Consumer groups and their offsets, in Kafka's record formats (cluster/groups/offset_records.h).
inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

/// Larger than GroupOptions::append_bytes_max, whatever the broker takes from clients.
inline constexpr std::size_t kOffsetsBatchBytesMax = 16u << 20;

[[nodiscard]] inline bool is_internal_topic(std::string_view name) { return name == kOffsetsTopic; }

[[nodiscard]] inline NewTopic offsets_topic(const BrokerOptions& options) {
  return {.name = std::string(kOffsetsTopic),
          .partitions = options.offsets_topic_partitions,
          .configs = {{"cleanup.policy", "compact"}, {"max.message.bytes", std::to_string(kOffsetsBatchBytesMax)},
                      {"segment.bytes", "104857600"}, {"retention.bytes", "-1"}, {"retention.ms", "-1"}}};
}

}  // namespace tributary
