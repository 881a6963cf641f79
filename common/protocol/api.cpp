#include "common/protocol/api.h"

#include <iterator>

namespace tributary {
namespace {

constexpr std::int16_t kNeverFlexible = -1;

struct ApiRow {
  ApiKey api;
  std::string_view name;
  std::int16_t first_flexible;
};

constexpr ApiRow kApis[] = {
    {ApiKey::kProduce, "Produce", 9},
    {ApiKey::kFetch, "Fetch", 12},
    {ApiKey::kListOffsets, "ListOffsets", 6},
    {ApiKey::kMetadata, "Metadata", 9},
    {ApiKey::kLeaderAndIsr, "LeaderAndIsr", 4},
    {ApiKey::kStopReplica, "StopReplica", 2},
    {ApiKey::kUpdateMetadata, "UpdateMetadata", 6},
    {ApiKey::kControlledShutdown, "ControlledShutdown", 3},
    {ApiKey::kOffsetCommit, "OffsetCommit", 8},
    {ApiKey::kOffsetFetch, "OffsetFetch", 6},
    {ApiKey::kFindCoordinator, "FindCoordinator", 3},
    {ApiKey::kJoinGroup, "JoinGroup", 6},
    {ApiKey::kHeartbeat, "Heartbeat", 4},
    {ApiKey::kLeaveGroup, "LeaveGroup", 4},
    {ApiKey::kSyncGroup, "SyncGroup", 4},
    {ApiKey::kDescribeGroups, "DescribeGroups", 5},
    {ApiKey::kListGroups, "ListGroups", 3},
    {ApiKey::kSaslHandshake, "SaslHandshake", kNeverFlexible},
    {ApiKey::kApiVersions, "ApiVersions", 3},
    {ApiKey::kCreateTopics, "CreateTopics", 5},
    {ApiKey::kDeleteTopics, "DeleteTopics", 4},
    {ApiKey::kDeleteRecords, "DeleteRecords", 2},
    {ApiKey::kInitProducerId, "InitProducerId", 2},
    {ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 4},
    {ApiKey::kAddPartitionsToTxn, "AddPartitionsToTxn", 3},
    {ApiKey::kAddOffsetsToTxn, "AddOffsetsToTxn", 3},
    {ApiKey::kEndTxn, "EndTxn", 3},
    {ApiKey::kWriteTxnMarkers, "WriteTxnMarkers", 1},
    {ApiKey::kTxnOffsetCommit, "TxnOffsetCommit", 3},
    {ApiKey::kDescribeAcls, "DescribeAcls", 2},
    {ApiKey::kCreateAcls, "CreateAcls", 2},
    {ApiKey::kDeleteAcls, "DeleteAcls", 2},
    {ApiKey::kDescribeConfigs, "DescribeConfigs", 4},
    {ApiKey::kAlterConfigs, "AlterConfigs", 2},
    {ApiKey::kAlterReplicaLogDirs, "AlterReplicaLogDirs", 2},
    {ApiKey::kDescribeLogDirs, "DescribeLogDirs", 2},
    {ApiKey::kSaslAuthenticate, "SaslAuthenticate", 2},
    {ApiKey::kCreatePartitions, "CreatePartitions", 2},
    {ApiKey::kCreateDelegationToken, "CreateDelegationToken", 2},
    {ApiKey::kRenewDelegationToken, "RenewDelegationToken", 2},
    {ApiKey::kExpireDelegationToken, "ExpireDelegationToken", 2},
    {ApiKey::kDescribeDelegationToken, "DescribeDelegationToken", 2},
    {ApiKey::kDeleteGroups, "DeleteGroups", 2},
    {ApiKey::kElectLeaders, "ElectLeaders", 2},
    {ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", 1},
    {ApiKey::kAlterPartitionReassignments, "AlterPartitionReassignments", 0},
    {ApiKey::kListPartitionReassignments, "ListPartitionReassignments", 0},
    {ApiKey::kOffsetDelete, "OffsetDelete", kNeverFlexible},
    {ApiKey::kDescribeClientQuotas, "DescribeClientQuotas", 1},
    {ApiKey::kAlterClientQuotas, "AlterClientQuotas", 1},
    {ApiKey::kDescribeUserScramCredentials, "DescribeUserScramCredentials", 0},
    {ApiKey::kAlterUserScramCredentials, "AlterUserScramCredentials", 0},
    {ApiKey::kVote, "Vote", 0},
    {ApiKey::kBeginQuorumEpoch, "BeginQuorumEpoch", 1},
    {ApiKey::kEndQuorumEpoch, "EndQuorumEpoch", 1},
    {ApiKey::kDescribeQuorum, "DescribeQuorum", 0},
    {ApiKey::kAlterPartition, "AlterPartition", 0},
    {ApiKey::kUpdateFeatures, "UpdateFeatures", 0},
    {ApiKey::kEnvelope, "Envelope", 0},
    {ApiKey::kFetchSnapshot, "FetchSnapshot", 0},
    {ApiKey::kDescribeCluster, "DescribeCluster", 0},
    {ApiKey::kDescribeProducers, "DescribeProducers", 0},
    {ApiKey::kBrokerRegistration, "BrokerRegistration", 0},
    {ApiKey::kBrokerHeartbeat, "BrokerHeartbeat", 0},
    {ApiKey::kUnregisterBroker, "UnregisterBroker", 0},
    {ApiKey::kDescribeTransactions, "DescribeTransactions", 0},
    {ApiKey::kListTransactions, "ListTransactions", 0},
    {ApiKey::kAllocateProducerIds, "AllocateProducerIds", 0},
    {ApiKey::kConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", 0},
    {ApiKey::kConsumerGroupDescribe, "ConsumerGroupDescribe", 0},
    {ApiKey::kControllerRegistration, "ControllerRegistration", 0},
    {ApiKey::kGetTelemetrySubscriptions, "GetTelemetrySubscriptions", 0},
    {ApiKey::kPushTelemetry, "PushTelemetry", 0},
    {ApiKey::kAssignReplicasToDirs, "AssignReplicasToDirs", 0},
    {ApiKey::kListClientMetricsResources, "ListClientMetricsResources", 0},
    {ApiKey::kDescribeTopicPartitions, "DescribeTopicPartitions", 0},
    {ApiKey::kShareGroupHeartbeat, "ShareGroupHeartbeat", 0},
    {ApiKey::kShareGroupDescribe, "ShareGroupDescribe", 0},
    {ApiKey::kShareFetch, "ShareFetch", 0},
    {ApiKey::kShareAcknowledge, "ShareAcknowledge", 0},
};
static_assert(std::ranges::is_sorted(kApis, {}, &ApiRow::api));

const ApiRow* find(ApiKey api) {
  const auto* row = std::ranges::lower_bound(kApis, api, {}, &ApiRow::api);
  return row != std::end(kApis) && row->api == api ? row : nullptr;
}

}  // namespace

std::string name_of(ApiKey api) {
  const auto* row = find(api);
  return row ? std::string(row->name) : fmt::format("Api{}", static_cast<std::int16_t>(api));
}

std::optional<std::int16_t> first_flexible_version(ApiKey api) {
  const auto* row = find(api);
  if (!row || row->first_flexible == kNeverFlexible) return std::nullopt;
  return row->first_flexible;
}

}  // namespace tributary
