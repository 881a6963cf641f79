// Bytes of other implementations: the same bytes come out again, and each value stands in its field.

#include "tests/unit/protocol/golden.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/protocol/any_message.h"

namespace tributary {
namespace {

using golden::decode_filled;
using golden::i16;
using golden::i32;
using golden::i64;
using golden::i8;
using golden::text;
using golden::uuid;

TEST(Golden, EveryFrameIsEncodedAgainByteForByte) {
  for (const auto& frame : golden::frames()) {
    const auto again = decode_and_encode(frame.message, frame.version, frame.bytes);
    ASSERT_TRUE(again) << frame.title() << ": " << again.error().message;
    EXPECT_EQ(*again, frame.bytes) << frame.title();
  }
}

TEST(Golden, EveryVersionOfEveryMessageHasAFrame) {
  std::set<std::pair<std::string, std::int16_t>> seen;
  for (const auto& frame : golden::frames()) seen.emplace(frame.message, frame.version);
  for_each_request([&](auto tag) {
    using Request = typename decltype(tag)::Type;
    for (auto v = Request::valid.min; v <= Request::valid.max; ++v) {
      EXPECT_TRUE(seen.contains({std::string(Request::name), v})) << Request::name << " v" << v;
      EXPECT_TRUE(seen.contains({std::string(Request::Response::name), v})) << Request::Response::name << " v" << v;
    }
  });
}

TEST(Golden, RequestHeadersHaveTheirValues) {
  for (const std::int16_t version : {std::int16_t{8}, std::int16_t{9}}) {
    const auto parsed = parse_request_header(golden::filled("ProduceRequest", version).bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->header, (RequestHeader{ApiKey::kProduce, version, 7, "golden"}));
  }
}

TEST(GoldenValues, Produce) {
  const auto m = decode_filled<ProduceRequest>(11);
  EXPECT_EQ(m.transactional_id, text("TransactionalId"));
  EXPECT_EQ(m.acks, i16("Acks"));
  EXPECT_EQ(m.timeout_ms, i32("TimeoutMs"));
  ASSERT_EQ(m.topics.size(), 2u);
  EXPECT_EQ(m.topics[1].name, text("Name", 1));
  const auto& partition = m.topics[1].partitions.at(1);
  EXPECT_EQ(partition.index.value(), i32("Index", 1));
  EXPECT_EQ(as_string_view(partition.records.view()), golden::bytes("Records", 1));

  const auto r = decode_filled<ProduceResponse>(11);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(0).name, text("Name", 0));
  const auto& answer = r.topics.at(0).partitions.at(1);
  EXPECT_EQ(answer.index.value(), i32("Index", 1));
  EXPECT_EQ(static_cast<std::int16_t>(answer.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(answer.base_offset.value(), i64("BaseOffset", 1));
  EXPECT_EQ(answer.log_append_time_ms, i64("LogAppendTimeMs", 1));
  EXPECT_EQ(answer.log_start_offset.value(), i64("LogStartOffset", 1));
  EXPECT_EQ(answer.record_errors.at(0).batch_index, i32("BatchIndex", 0));
  EXPECT_EQ(answer.record_errors.at(0).message, text("BatchIndexErrorMessage", 0));
  EXPECT_EQ(answer.error_message, text("ErrorMessage", 1));
  EXPECT_EQ(answer.current_leader.leader_id.value(), i32("LeaderId", 1));
  EXPECT_EQ(answer.current_leader.leader_epoch.value(), i32("LeaderEpoch", 1));
  const auto& node = r.node_endpoints.at(1);
  EXPECT_EQ(node.node_id.value(), i32("NodeId", 1));
  EXPECT_EQ(node.host, text("Host", 1));
  EXPECT_EQ(node.port, i32("Port", 1));
  EXPECT_EQ(node.rack, text("Rack", 1));
}

TEST(GoldenValues, FetchRequest) {
  const auto m = decode_filled<FetchRequest>(12);
  EXPECT_EQ(m.cluster_id, text("ClusterId"));
  EXPECT_EQ(m.replica_id.value(), i32("ReplicaId"));
  EXPECT_EQ(m.wait_ms_max, i32("MaxWaitMs"));
  EXPECT_EQ(m.bytes_min, i32("MinBytes"));
  EXPECT_EQ(m.bytes_max, i32("MaxBytes"));
  EXPECT_EQ(static_cast<std::int8_t>(m.isolation_level), i8("IsolationLevel"));
  EXPECT_EQ(m.session_id, i32("SessionId"));
  EXPECT_EQ(m.session_epoch, i32("SessionEpoch"));
  EXPECT_EQ(m.rack_id, text("RackId"));
  EXPECT_EQ(m.topics.at(1).name, text("Topic", 1));
  const auto& partition = m.topics.at(1).partitions.at(0);
  EXPECT_EQ(partition.index.value(), i32("Partition", 0));
  EXPECT_EQ(partition.current_leader_epoch.value(), i32("CurrentLeaderEpoch", 0));
  EXPECT_EQ(partition.fetch_offset.value(), i64("FetchOffset", 0));
  EXPECT_EQ(partition.last_fetched_epoch.value(), i32("LastFetchedEpoch", 0));
  EXPECT_EQ(partition.log_start_offset.value(), i64("LogStartOffset", 0));
  EXPECT_EQ(partition.bytes_max, i32("PartitionMaxBytes", 0));
  EXPECT_EQ(m.forgotten_topics.at(1).name, text("Topic", 1));
  EXPECT_EQ(m.forgotten_topics.at(1).partitions.at(1).value(), i32("Partitions", 1));

  const auto by_id = decode_filled<FetchRequest>(13);
  EXPECT_EQ(by_id.topics.at(1).topic_id, uuid("TopicId", 1));
  EXPECT_EQ(by_id.topics.at(1).name, "");
  EXPECT_EQ(by_id.forgotten_topics.at(0).topic_id, uuid("TopicId", 0));
}

TEST(GoldenValues, FetchResponse) {
  const auto m = decode_filled<FetchResponse>(12);
  EXPECT_EQ(m.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(m.error_code), i16("ErrorCode"));
  EXPECT_EQ(m.session_id, i32("SessionId"));
  EXPECT_EQ(m.topics.at(1).name, text("Topic", 1));
  const auto& p = m.topics.at(1).partitions.at(1);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(p.high_watermark.value(), i64("HighWatermark", 1));
  EXPECT_EQ(p.last_stable_offset.value(), i64("LastStableOffset", 1));
  EXPECT_EQ(p.log_start_offset.value(), i64("LogStartOffset", 1));
  EXPECT_EQ(p.diverging_epoch.epoch.value(), i32("Epoch", 1));
  EXPECT_EQ(p.diverging_epoch.end_offset.value(), i64("EndOffset", 1));
  EXPECT_EQ(p.current_leader.leader_id.value(), i32("LeaderId", 1));
  EXPECT_EQ(p.current_leader.leader_epoch.value(), i32("LeaderEpoch", 1));
  EXPECT_EQ(p.snapshot_id.epoch.value(), i32("Epoch", 1));
  EXPECT_EQ(p.snapshot_id.end_offset.value(), i64("EndOffset", 1));
  ASSERT_TRUE(p.aborted_transactions);
  EXPECT_EQ(p.aborted_transactions->at(1).producer_id.value(), i64("ProducerId", 1));
  EXPECT_EQ(p.aborted_transactions->at(1).first_offset.value(), i64("FirstOffset", 1));
  EXPECT_EQ(p.preferred_read_replica.value(), i32("PreferredReadReplica", 1));
  EXPECT_EQ(as_string_view(p.records.view()), golden::bytes("Records", 1));
  EXPECT_EQ(decode_filled<FetchResponse>(13).topics.at(0).topic_id, uuid("TopicId", 0));
}

TEST(GoldenValues, ListOffsets) {
  const auto m = decode_filled<ListOffsetsRequest>(7);
  EXPECT_EQ(m.replica_id.value(), i32("ReplicaId"));
  EXPECT_EQ(static_cast<std::int8_t>(m.isolation_level), i8("IsolationLevel"));
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).current_leader_epoch.value(), i32("CurrentLeaderEpoch", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).timestamp_ms, i64("Timestamp", 1));

  const auto r = decode_filled<ListOffsetsResponse>(7);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  const auto& p = r.topics.at(1).partitions.at(0);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 0));
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 0));
  EXPECT_EQ(p.timestamp_ms, i64("Timestamp", 0));
  EXPECT_EQ(p.offset.value(), i64("Offset", 0));
  EXPECT_EQ(p.leader_epoch.value(), i32("LeaderEpoch", 0));
}

TEST(GoldenValues, Metadata) {
  const auto m = decode_filled<MetadataRequest>(10);
  ASSERT_TRUE(m.topics);
  EXPECT_EQ(m.topics->at(1).topic_id, uuid("TopicId", 1));
  EXPECT_EQ(m.topics->at(1).name, text("Name", 1));
  EXPECT_TRUE(m.allow_auto_topic_creation);
  EXPECT_TRUE(m.include_cluster_authorized_operations);
  EXPECT_TRUE(m.include_topic_authorized_operations);

  const auto r = decode_filled<MetadataResponse>(10);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.brokers.at(1).node_id.value(), i32("NodeId", 1));
  EXPECT_EQ(r.brokers.at(1).host, text("Host", 1));
  EXPECT_EQ(r.brokers.at(1).port, i32("Port", 1));
  EXPECT_EQ(r.brokers.at(1).rack, text("Rack", 1));
  EXPECT_EQ(r.cluster_id, text("ClusterId"));
  EXPECT_EQ(r.controller_id.value(), i32("ControllerId"));
  EXPECT_EQ(r.cluster_authorized_operations, i32("AuthorizedOperations"));
  const auto& topic = r.topics.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(topic.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(topic.name, text("Name", 1));
  EXPECT_EQ(topic.topic_id, uuid("TopicId", 1));
  EXPECT_TRUE(topic.is_internal);
  EXPECT_EQ(topic.authorized_operations, i32("AuthorizedOperations", 1));
  const auto& p = topic.partitions.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(p.leader_id.value(), i32("LeaderId", 1));
  EXPECT_EQ(p.leader_epoch.value(), i32("LeaderEpoch", 1));
  EXPECT_EQ(p.replica_nodes.at(1).value(), i32("ReplicaNodes", 1));
  EXPECT_EQ(p.isr_nodes.at(1).value(), i32("IsrNodes", 1));
  EXPECT_EQ(p.offline_replicas.at(1).value(), i32("OfflineReplicas", 1));
}

TEST(GoldenValues, ApiVersions) {
  const auto m = decode_filled<ApiVersionsRequest>(4);
  EXPECT_EQ(m.client_software_name, text("ClientSoftwareName"));
  EXPECT_EQ(m.client_software_version, text("ClientSoftwareVersion"));

  const auto r = decode_filled<ApiVersionsResponse>(4);
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(static_cast<std::int16_t>(r.apis.at(1).api_key), i16("ApiKey", 1));
  EXPECT_EQ(r.apis.at(1).min_version, i16("MinVersion", 1));
  EXPECT_EQ(r.apis.at(1).max_version, i16("MaxVersion", 1));
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.supported_features.at(1).name, text("Name", 1));
  EXPECT_EQ(r.supported_features.at(1).min_version, i16("MinVersion", 1));
  EXPECT_EQ(r.supported_features.at(1).max_version, i16("MaxVersion", 1));
  EXPECT_EQ(r.finalized_features_epoch, i64("FinalizedFeaturesEpoch"));
  EXPECT_EQ(r.finalized_features.at(0).name, text("Name", 0));
  EXPECT_EQ(r.finalized_features.at(0).max_version_level, i16("MaxVersionLevel", 0));
  EXPECT_EQ(r.finalized_features.at(0).min_version_level, i16("MinVersionLevel", 0));
  EXPECT_TRUE(r.zk_migration_ready);
}

TEST(GoldenValues, CreateTopics) {
  const auto m = decode_filled<CreateTopicsRequest>(7);
  EXPECT_EQ(m.timeout_ms, i32("TimeoutMs"));
  EXPECT_TRUE(m.validate_only);
  const auto& t = m.topics.at(1);
  EXPECT_EQ(t.name, text("Name", 1));
  EXPECT_EQ(t.num_partitions, i32("NumPartitions", 1));
  EXPECT_EQ(t.replication_factor, i16("ReplicationFactor", 1));
  EXPECT_EQ(t.assignments.at(0).partition_index.value(), i32("PartitionIndex", 0));
  EXPECT_EQ(t.assignments.at(0).broker_ids.at(1).value(), i32("BrokerIds", 1));
  EXPECT_EQ(t.configs.at(1).name, text("Name", 1));
  EXPECT_EQ(t.configs.at(1).value, text("Value", 1));

  const auto r = decode_filled<CreateTopicsResponse>(7);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  const auto& a = r.topics.at(1);
  EXPECT_EQ(a.name, text("Name", 1));
  EXPECT_EQ(a.topic_id, uuid("TopicId", 1));
  EXPECT_EQ(static_cast<std::int16_t>(a.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(a.error_message, text("ErrorMessage", 1));
  EXPECT_EQ(static_cast<std::int16_t>(a.topic_config_error_code), i16("TopicConfigErrorCode", 1));
  EXPECT_EQ(a.num_partitions, i32("NumPartitions", 1));
  EXPECT_EQ(a.replication_factor, i16("ReplicationFactor", 1));
  ASSERT_TRUE(a.configs);
  EXPECT_EQ(a.configs->at(1).name, text("Name", 1));
  EXPECT_EQ(a.configs->at(1).value, text("Value", 1));
  EXPECT_TRUE(a.configs->at(1).read_only);
  EXPECT_EQ(a.configs->at(1).config_source, i8("ConfigSource", 1));
  EXPECT_TRUE(a.configs->at(1).is_sensitive);
}

TEST(GoldenValues, DeleteTopics) {
  const auto m = decode_filled<DeleteTopicsRequest>(6);
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics.at(1).topic_id, uuid("TopicId", 1));
  EXPECT_EQ(m.timeout_ms, i32("TimeoutMs"));
  EXPECT_EQ(decode_filled<DeleteTopicsRequest>(5).topic_names,
            (std::vector<std::string>{text("TopicNames", 0), text("TopicNames", 1)}));

  const auto r = decode_filled<DeleteTopicsResponse>(6);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(r.topics.at(1).topic_id, uuid("TopicId", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.topics.at(1).error_code), i16("ErrorCode", 1));
  EXPECT_EQ(r.topics.at(1).error_message, text("ErrorMessage", 1));
}

TEST(GoldenValues, InitProducerId) {
  const auto m = decode_filled<InitProducerIdRequest>(4);
  EXPECT_EQ(m.transactional_id, text("TransactionalId"));
  EXPECT_EQ(m.transaction_timeout_ms, i32("TransactionTimeoutMs"));
  EXPECT_EQ(m.producer_id.value(), i64("ProducerId"));
  EXPECT_EQ(m.producer_epoch.value(), i16("ProducerEpoch"));

  const auto r = decode_filled<InitProducerIdResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.producer_id.value(), i64("ProducerId"));
  EXPECT_EQ(r.producer_epoch.value(), i16("ProducerEpoch"));
}

TEST(GoldenValues, DescribeConfigs) {
  const auto m = decode_filled<DescribeConfigsRequest>(4);
  EXPECT_EQ(static_cast<std::int8_t>(m.resources.at(1).type), i8("ResourceType", 1));
  EXPECT_EQ(m.resources.at(1).name, text("ResourceName", 1));
  EXPECT_EQ(m.resources.at(1).configuration_keys.value().at(1), text("ConfigurationKeys", 1));
  EXPECT_TRUE(m.include_synonyms);
  EXPECT_TRUE(m.include_documentation);

  const auto r = decode_filled<DescribeConfigsResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  const auto& a = r.resources.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(a.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(a.error_message, text("ErrorMessage", 1));
  EXPECT_EQ(static_cast<std::int8_t>(a.type), i8("ResourceType", 1));
  EXPECT_EQ(a.name, text("ResourceName", 1));
  const auto& c = a.configs.at(1);
  EXPECT_EQ(c.name, text("Name", 1));
  EXPECT_EQ(c.value, text("Value", 1));
  EXPECT_TRUE(c.read_only);
  EXPECT_EQ(static_cast<std::int8_t>(c.source), i8("ConfigSource", 1));
  EXPECT_TRUE(c.is_sensitive);
  EXPECT_EQ(c.synonyms.at(1).name, text("Name", 1));
  EXPECT_EQ(c.synonyms.at(1).value, text("Value", 1));
  EXPECT_EQ(static_cast<std::int8_t>(c.synonyms.at(1).source), i8("Source", 1));
  EXPECT_EQ(static_cast<std::int8_t>(c.type), i8("ConfigType", 1));
  EXPECT_EQ(c.documentation, text("Documentation", 1));
}

TEST(GoldenValues, DescribeCluster) {
  const auto m = decode_filled<DescribeClusterRequest>(1);
  EXPECT_TRUE(m.include_cluster_authorized_operations);
  EXPECT_EQ(m.endpoint_type, i8("EndpointType"));

  const auto r = decode_filled<DescribeClusterResponse>(1);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.error_message, text("ErrorMessage"));
  EXPECT_EQ(r.endpoint_type, i8("EndpointType"));
  EXPECT_EQ(r.cluster_id, text("ClusterId"));
  EXPECT_EQ(r.controller_id.value(), i32("ControllerId"));
  EXPECT_EQ(r.brokers.at(1).broker_id.value(), i32("BrokerId", 1));
  EXPECT_EQ(r.brokers.at(1).host, text("Host", 1));
  EXPECT_EQ(r.brokers.at(1).port, i32("Port", 1));
  EXPECT_EQ(r.brokers.at(1).rack, text("Rack", 1));
  EXPECT_EQ(r.cluster_authorized_operations, i32("AuthorizedOperations"));
}

}  // namespace
}  // namespace tributary
