#pragma once
// Which partition of __consumer_offsets a group belongs to.

#include <cstdint>
#include <string_view>

namespace tributary {

/// Java's String.hashCode() of the text, which is taken for UTF-8; a malformed byte counts as U+FFFD.
[[nodiscard]] std::int32_t java_string_hash(std::string_view utf8);

/// As Kafka's GroupMetadataManager.partitionFor: |hash| modulo `partitions` (> 0), and 0 for the smallest hash.
[[nodiscard]] std::int32_t offsets_partition_of(std::string_view group_id, std::int32_t partitions);

}  // namespace tributary
