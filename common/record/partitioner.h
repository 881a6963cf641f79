#pragma once
// The partition of a key, as Kafka's clients choose it by default.

#include "common/base/ids.h"
#include "common/bytes/bytes.h"

namespace tributary {

/// MurmurHash2 (Austin Appleby), 32 bits, with the seed 0x9747b28c of Kafka's Java client.
[[nodiscard]] std::int32_t murmur2(ByteView data);

/// (murmur2(key) & 0x7fffffff) % partition_count: what the Java client, kafkajs, kafka-python and
/// librdkafka's "murmur2" partitioner give. partition_count > 0.
[[nodiscard]] PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count);

}  // namespace tributary
