#pragma once
// Which requests there are: API keys, version ranges, error codes.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "common/protocol/error_code.h"

namespace tributary {

/// Kafka's names and numbers. A key from the wire may be none of these; it keeps its number.
enum class ApiKey : std::int16_t {
  kProduce = 0, kFetch = 1, kListOffsets = 2, kMetadata = 3, kLeaderAndIsr = 4, kStopReplica = 5,
  kUpdateMetadata = 6, kControlledShutdown = 7, kOffsetCommit = 8, kOffsetFetch = 9,
  kFindCoordinator = 10, kJoinGroup = 11, kHeartbeat = 12, kLeaveGroup = 13, kSyncGroup = 14,
  kDescribeGroups = 15, kListGroups = 16, kSaslHandshake = 17, kApiVersions = 18,
  kCreateTopics = 19, kDeleteTopics = 20, kDeleteRecords = 21, kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23, kAddPartitionsToTxn = 24, kAddOffsetsToTxn = 25, kEndTxn = 26,
  kWriteTxnMarkers = 27, kTxnOffsetCommit = 28, kDescribeAcls = 29, kCreateAcls = 30,
  kDeleteAcls = 31, kDescribeConfigs = 32, kAlterConfigs = 33, kAlterReplicaLogDirs = 34,
  kDescribeLogDirs = 35, kSaslAuthenticate = 36, kCreatePartitions = 37,
  kCreateDelegationToken = 38, kRenewDelegationToken = 39, kExpireDelegationToken = 40,
  kDescribeDelegationToken = 41, kDeleteGroups = 42, kElectLeaders = 43,
  kIncrementalAlterConfigs = 44, kAlterPartitionReassignments = 45,
  kListPartitionReassignments = 46, kOffsetDelete = 47, kDescribeClientQuotas = 48,
  kAlterClientQuotas = 49, kDescribeUserScramCredentials = 50, kAlterUserScramCredentials = 51,
  kVote = 52, kBeginQuorumEpoch = 53, kEndQuorumEpoch = 54, kDescribeQuorum = 55,
  kAlterPartition = 56, kUpdateFeatures = 57, kEnvelope = 58, kFetchSnapshot = 59,
  kDescribeCluster = 60, kDescribeProducers = 61, kBrokerRegistration = 62,
  kBrokerHeartbeat = 63, kUnregisterBroker = 64, kDescribeTransactions = 65,
  kListTransactions = 66, kAllocateProducerIds = 67, kConsumerGroupHeartbeat = 68,
  kConsumerGroupDescribe = 69, kControllerRegistration = 70, kGetTelemetrySubscriptions = 71,
  kPushTelemetry = 72, kAssignReplicasToDirs = 73, kListClientMetricsResources = 74,
  kDescribeTopicPartitions = 75, kShareGroupHeartbeat = 76, kShareGroupDescribe = 77,
  kShareFetch = 78, kShareAcknowledge = 79,
};

/// "Produce"; "Api<number>" for a key that is not known.
[[nodiscard]] std::string name_of(ApiKey api);

/// The version from which an API's messages are flexible (KIP-482): compact lengths, tag buffers, and
/// request header 2. Nothing if it has no such version or the key is not known.
[[nodiscard]] std::optional<std::int16_t> first_flexible_version(ApiKey api);

/// A range of versions, both ends inclusive; empty if max < min.
struct Versions {
  std::int16_t min = 0;
  std::int16_t max = std::numeric_limits<std::int16_t>::max();

  [[nodiscard]] constexpr bool contains(std::int16_t version) const {
    return min <= version && version <= max;
  }
  [[nodiscard]] constexpr bool empty() const { return max < min; }
  friend constexpr bool operator==(Versions, Versions) = default;
};

inline constexpr Versions kNoVersions{0, -1};
[[nodiscard]] constexpr Versions from_version(std::int16_t min) { return {.min = min}; }

/// The highest version that both ends speak, or nothing.
[[nodiscard]] constexpr std::optional<std::int16_t> highest_common(Versions a, Versions b) {
  const Versions both{std::max(a.min, b.min), std::min(a.max, b.max)};
  if (both.empty()) return std::nullopt;
  return both.max;
}

}  // namespace tributary

template <>
struct fmt::formatter<tributary::ApiKey> : fmt::formatter<std::string> {
  template <class Context>
  auto format(tributary::ApiKey api, Context& context) const {
    return fmt::formatter<std::string>::format(tributary::name_of(api), context);
  }
};
