#pragma once
// The field's identifiers, each a type of its own.

#include <cstdint>
#include <string>

#include "common/base/strong.h"

namespace tributary {

using Offset = Strong<struct OffsetTag, std::int64_t>;                // of a record within a partition
using LeaderEpoch = Strong<struct LeaderEpochTag, std::int32_t>;      // KIP-101; -1 = none
using ProducerId = Strong<struct ProducerIdTag, std::int64_t>;        // KIP-98; -1 = not idempotent
using ProducerEpoch = Strong<struct ProducerEpochTag, std::int16_t>;  // KIP-98; -1 = none
using Sequence = Strong<struct SequenceTag, std::int32_t>;            // KIP-98; wraps 2^31-1 -> 0
using GenerationId = Strong<struct GenerationIdTag, std::int32_t>;    // of a consumer group; -1 = none
using PartitionIndex = Strong<struct PartitionIndexTag, std::int32_t>;
using BrokerId = Strong<struct BrokerIdTag, std::int32_t>;

inline constexpr LeaderEpoch kNoLeaderEpoch{-1};
inline constexpr ProducerId kNoProducerId{-1};
inline constexpr ProducerEpoch kNoProducerEpoch{-1};
inline constexpr Sequence kNoSequence{-1};
inline constexpr GenerationId kNoGenerationId{-1};

/// `sequence` advanced by `count` records; wraps from 2^31 - 1 to 0 as Kafka's producers do.
[[nodiscard]] constexpr Sequence advanced(Sequence sequence, std::int32_t count) {
  return Sequence(static_cast<std::int32_t>(
      (static_cast<std::int64_t>(sequence.value()) + count) & 0x7fffffff));
}

struct TopicPartition {
  std::string topic;
  PartitionIndex partition{0};
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace tributary

template <>
struct std::hash<tributary::TopicPartition> {
  std::size_t operator()(const tributary::TopicPartition& tp) const {
    return std::hash<std::string>{}(tp.topic) * 31 + static_cast<std::size_t>(tp.partition.value());
  }
};

template <>
struct fmt::formatter<tributary::TopicPartition> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const tributary::TopicPartition& tp, Context& context) const {
    return fmt::format_to(context.out(), "{}-{}", tp.topic, tp.partition.value());
  }
};
