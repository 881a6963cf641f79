// Consumer groups: each value of the frames of others stands in its field. See golden_test.cpp.

#include <gtest/gtest.h>

#include "tests/unit/protocol/any_message.h"
#include "tests/unit/protocol/golden.h"

namespace tributary {
namespace {

using golden::decode_defaults;
using golden::decode_filled;
using golden::i16;
using golden::i32;
using golden::i64;
using golden::i8;
using golden::text;

std::string bytes_of(ByteView view) { return std::string(as_string_view(view)); }

TEST(GoldenValues, OffsetCommit) {
  const auto m = decode_filled<OffsetCommitRequest>(8);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.generation_id.value(), i32("GenerationIdOrMemberEpoch"));
  EXPECT_EQ(m.member_id, text("MemberId"));
  EXPECT_EQ(m.group_instance_id, text("GroupInstanceId"));
  EXPECT_EQ(m.retention_time_ms, -1);
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  const auto& partition = m.topics.at(1).partitions.at(1);
  EXPECT_EQ(partition.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(partition.committed_offset.value(), i64("CommittedOffset", 1));
  EXPECT_EQ(partition.committed_leader_epoch.value(), i32("CommittedLeaderEpoch", 1));
  EXPECT_EQ(partition.metadata, text("CommittedMetadata", 1));
  EXPECT_EQ(decode_filled<OffsetCommitRequest>(4).retention_time_ms, i64("RetentionTimeMs"));
  const auto old = decode_filled<OffsetCommitRequest>(5);
  EXPECT_EQ(old.topics.at(0).partitions.at(0).committed_leader_epoch, kNoLeaderEpoch);
  EXPECT_EQ(decode_filled<OffsetCommitRequest>(6).group_instance_id, std::nullopt);

  const auto r = decode_filled<OffsetCommitResponse>(8);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(r.topics.at(1).partitions.at(1).index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.topics.at(1).partitions.at(1).error_code), i16("ErrorCode", 1));
  EXPECT_EQ(decode_filled<OffsetCommitResponse>(2).throttle_time_ms, 0);
}

TEST(GoldenValues, OffsetFetchOfOneGroup) {
  const auto m = decode_filled<OffsetFetchRequest>(7);
  EXPECT_EQ(m.group_id, text("GroupId"));
  ASSERT_TRUE(m.topics);
  EXPECT_EQ(m.topics->at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics->at(1).partitions.at(1).value(), i32("PartitionIndexes", 1));
  EXPECT_TRUE(m.require_stable);
  EXPECT_TRUE(m.groups.empty());
  EXPECT_FALSE(decode_filled<OffsetFetchRequest>(6).require_stable);
  EXPECT_EQ(decode_defaults<OffsetFetchRequest>(2).topics, std::nullopt);
  EXPECT_EQ(decode_defaults<OffsetFetchRequest>(7).topics, std::nullopt);

  const auto r = decode_filled<OffsetFetchResponse>(7);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  const auto& p = r.topics.at(1).partitions.at(1);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(p.committed_offset.value(), i64("CommittedOffset", 1));
  EXPECT_EQ(p.committed_leader_epoch.value(), i32("CommittedLeaderEpoch", 1));
  EXPECT_EQ(p.metadata, text("Metadata", 1));
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(decode_filled<OffsetFetchResponse>(1).error_code, ErrorCode::kNone);
}

TEST(GoldenValues, OffsetFetchOfSeveralGroups) {
  const auto m = decode_filled<OffsetFetchRequest>(8);
  EXPECT_EQ(m.group_id, "");
  const auto& group = m.groups.at(1);
  EXPECT_EQ(group.group_id, text("GroupId", 1));
  ASSERT_TRUE(group.topics);
  EXPECT_EQ(group.topics->at(1).name, text("Name", 1));
  EXPECT_EQ(group.topics->at(1).partitions.at(1).value(), i32("PartitionIndexes", 1));
  EXPECT_TRUE(m.require_stable);

  const auto r = decode_filled<OffsetFetchResponse>(8);
  EXPECT_TRUE(r.topics.empty());
  const auto& answer = r.groups.at(1);
  EXPECT_EQ(answer.group_id, text("GroupId", 1));
  EXPECT_EQ(static_cast<std::int16_t>(answer.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(answer.topics.at(1).name, text("Name", 1));
  const auto& p = answer.topics.at(1).partitions.at(1);
  EXPECT_EQ(p.index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(p.committed_offset.value(), i64("CommittedOffset", 1));
  EXPECT_EQ(p.committed_leader_epoch.value(), i32("CommittedLeaderEpoch", 1));
  EXPECT_EQ(p.metadata, text("Metadata", 1));
  EXPECT_EQ(static_cast<std::int16_t>(p.error_code), i16("ErrorCode", 1));
}

TEST(GoldenValues, FindCoordinator) {
  const auto m = decode_filled<FindCoordinatorRequest>(3);
  EXPECT_EQ(m.key, text("Key"));
  EXPECT_EQ(static_cast<std::int8_t>(m.key_type), i8("KeyType"));
  const auto several = decode_filled<FindCoordinatorRequest>(4);
  EXPECT_EQ(several.key, "");
  EXPECT_EQ(static_cast<std::int8_t>(several.key_type), i8("KeyType"));
  EXPECT_EQ(several.coordinator_keys,
            (std::vector<std::string>{text("CoordinatorKeys", 0), text("CoordinatorKeys", 1)}));
  EXPECT_EQ(decode_filled<FindCoordinatorRequest>(0).key_type, CoordinatorKeyType::kGroup);

  const auto r = decode_filled<FindCoordinatorResponse>(3);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.error_message, text("ErrorMessage"));
  EXPECT_EQ(r.node_id.value(), i32("NodeId"));
  EXPECT_EQ(r.host, text("Host"));
  EXPECT_EQ(r.port, i32("Port"));

  const auto answers = decode_filled<FindCoordinatorResponse>(4);
  EXPECT_EQ(answers.node_id, kNoBroker);
  const auto& a = answers.coordinators.at(1);
  EXPECT_EQ(a.key, text("Key", 1));
  EXPECT_EQ(a.node_id.value(), i32("NodeId", 1));
  EXPECT_EQ(a.host, text("Host", 1));
  EXPECT_EQ(a.port, i32("Port", 1));
  EXPECT_EQ(static_cast<std::int16_t>(a.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(a.error_message, text("ErrorMessage", 1));
}

TEST(GoldenValues, JoinGroup) {
  const auto m = decode_filled<JoinGroupRequest>(9);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.session_timeout_ms, i32("SessionTimeoutMs"));
  EXPECT_EQ(m.rebalance_timeout_ms, i32("RebalanceTimeoutMs"));
  EXPECT_EQ(m.member_id, text("MemberId"));
  EXPECT_EQ(m.group_instance_id, text("GroupInstanceId"));
  EXPECT_EQ(m.protocol_type, text("ProtocolType"));
  EXPECT_EQ(m.protocols.at(1).name, text("Name", 1));
  EXPECT_EQ(bytes_of(m.protocols.at(1).metadata), golden::bytes("Metadata", 1));
  EXPECT_EQ(m.reason, text("Reason"));
  EXPECT_EQ(decode_filled<JoinGroupRequest>(0).rebalance_timeout_ms, -1);
  EXPECT_EQ(decode_filled<JoinGroupRequest>(4).group_instance_id, std::nullopt);
  EXPECT_EQ(decode_filled<JoinGroupRequest>(7).reason, std::nullopt);
  EXPECT_EQ(decode_filled<JoinGroupRequest>(8).reason, text("Reason"));

  const auto r = decode_filled<JoinGroupResponse>(9);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.generation_id.value(), i32("GenerationId"));
  EXPECT_EQ(r.protocol_type, text("ProtocolType"));
  EXPECT_EQ(r.protocol_name, text("ProtocolName"));
  EXPECT_EQ(r.leader, text("Leader"));
  EXPECT_TRUE(r.skip_assignment);
  EXPECT_EQ(r.member_id, text("MemberId"));
  EXPECT_EQ(r.members.at(1).member_id, text("MemberId", 1));
  EXPECT_EQ(r.members.at(1).group_instance_id, text("GroupInstanceId", 1));
  EXPECT_EQ(bytes_of(r.members.at(1).metadata), golden::bytes("Metadata", 1));
  EXPECT_FALSE(decode_filled<JoinGroupResponse>(8).skip_assignment);
  EXPECT_EQ(decode_filled<JoinGroupResponse>(6).protocol_type, std::nullopt);
  EXPECT_EQ(decode_defaults<JoinGroupResponse>(6).protocol_name, "");
  EXPECT_EQ(decode_defaults<JoinGroupResponse>(7).protocol_name, std::nullopt);
}

TEST(GoldenValues, Heartbeat) {
  const auto m = decode_filled<HeartbeatRequest>(4);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.generation_id.value(), i32("GenerationId"));
  EXPECT_EQ(m.member_id, text("MemberId"));
  EXPECT_EQ(m.group_instance_id, text("GroupInstanceId"));
  EXPECT_EQ(decode_filled<HeartbeatRequest>(2).group_instance_id, std::nullopt);
  EXPECT_EQ(decode_defaults<HeartbeatRequest>(4).group_instance_id, std::nullopt);

  const auto r = decode_filled<HeartbeatResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(decode_filled<HeartbeatResponse>(0).throttle_time_ms, 0);
}

TEST(GoldenValues, LeaveGroup) {
  const auto one = decode_filled<LeaveGroupRequest>(2);
  EXPECT_EQ(one.group_id, text("GroupId"));
  EXPECT_EQ(one.member_id, text("MemberId"));
  const auto m = decode_filled<LeaveGroupRequest>(5);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.member_id, "");
  EXPECT_EQ(m.members.at(1).member_id, text("MemberId", 1));
  EXPECT_EQ(m.members.at(1).group_instance_id, text("GroupInstanceId", 1));
  EXPECT_EQ(m.members.at(1).reason, text("Reason", 1));
  EXPECT_EQ(decode_filled<LeaveGroupRequest>(3).members.at(0).group_instance_id, text("GroupInstanceId", 0));
  EXPECT_EQ(decode_filled<LeaveGroupRequest>(4).members.at(0).reason, std::nullopt);

  const auto r = decode_filled<LeaveGroupResponse>(5);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.members.at(1).member_id, text("MemberId", 1));
  EXPECT_EQ(r.members.at(1).group_instance_id, text("GroupInstanceId", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.members.at(1).error_code), i16("ErrorCode", 1));
  EXPECT_TRUE(decode_filled<LeaveGroupResponse>(2).members.empty());
}

TEST(GoldenValues, SyncGroup) {
  const auto m = decode_filled<SyncGroupRequest>(5);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.generation_id.value(), i32("GenerationId"));
  EXPECT_EQ(m.member_id, text("MemberId"));
  EXPECT_EQ(m.group_instance_id, text("GroupInstanceId"));
  EXPECT_EQ(m.protocol_type, text("ProtocolType"));
  EXPECT_EQ(m.protocol_name, text("ProtocolName"));
  EXPECT_EQ(m.assignments.at(1).member_id, text("MemberId", 1));
  EXPECT_EQ(bytes_of(m.assignments.at(1).assignment), golden::bytes("Assignment", 1));
  EXPECT_EQ(decode_filled<SyncGroupRequest>(4).protocol_type, std::nullopt);
  EXPECT_EQ(decode_defaults<SyncGroupRequest>(5).protocol_name, std::nullopt);

  const auto r = decode_filled<SyncGroupResponse>(5);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.protocol_type, text("ProtocolType"));
  EXPECT_EQ(r.protocol_name, text("ProtocolName"));
  EXPECT_EQ(bytes_of(r.assignment), golden::bytes("Assignment"));
  EXPECT_EQ(bytes_of(decode_filled<SyncGroupResponse>(0).assignment), golden::bytes("Assignment"));
}

TEST(GoldenValues, DescribeGroups) {
  const auto m = decode_filled<DescribeGroupsRequest>(5);
  EXPECT_EQ(m.groups, (std::vector<std::string>{text("Groups", 0), text("Groups", 1)}));
  EXPECT_TRUE(m.include_authorized_operations);
  EXPECT_FALSE(decode_filled<DescribeGroupsRequest>(2).include_authorized_operations);

  const auto r = decode_filled<DescribeGroupsResponse>(5);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  const auto& group = r.groups.at(1);
  EXPECT_EQ(static_cast<std::int16_t>(group.error_code), i16("ErrorCode", 1));
  EXPECT_EQ(group.group_id, text("GroupId", 1));
  EXPECT_EQ(group.state, text("GroupState", 1));
  EXPECT_EQ(group.protocol_type, text("ProtocolType", 1));
  EXPECT_EQ(group.protocol_name, text("ProtocolData", 1));
  EXPECT_EQ(group.authorized_operations, i32("AuthorizedOperations", 1));
  const auto& member = group.members.at(1);
  EXPECT_EQ(member.member_id, text("MemberId", 1));
  EXPECT_EQ(member.group_instance_id, text("GroupInstanceId", 1));
  EXPECT_EQ(member.client_id, text("ClientId", 1));
  EXPECT_EQ(member.client_host, text("ClientHost", 1));
  EXPECT_EQ(bytes_of(member.metadata), golden::bytes("MemberMetadata", 1));
  EXPECT_EQ(bytes_of(member.assignment), golden::bytes("MemberAssignment", 1));
  const auto old = decode_filled<DescribeGroupsResponse>(2);
  EXPECT_EQ(old.groups.at(1).authorized_operations, kAuthorizedOperationsOmitted);
  EXPECT_EQ(old.groups.at(1).members.at(0).group_instance_id, std::nullopt);
}

TEST(GoldenValues, ListGroups) {
  EXPECT_EQ(decode_filled<ListGroupsRequest>(4).states_filter,
            (std::vector<std::string>{text("StatesFilter", 0), text("StatesFilter", 1)}));

  const auto r = decode_filled<ListGroupsResponse>(4);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.groups.at(1).group_id, text("GroupId", 1));
  EXPECT_EQ(r.groups.at(1).protocol_type, text("ProtocolType", 1));
  EXPECT_EQ(r.groups.at(1).state, text("GroupState", 1));
  EXPECT_EQ(decode_filled<ListGroupsResponse>(3).groups.at(1).state, "");
}

TEST(GoldenValues, DeleteGroups) {
  EXPECT_EQ(decode_filled<DeleteGroupsRequest>(2).groups,
            (std::vector<std::string>{text("GroupsNames", 0), text("GroupsNames", 1)}));

  const auto r = decode_filled<DeleteGroupsResponse>(2);
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.groups.at(1).group_id, text("GroupId", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.groups.at(1).error_code), i16("ErrorCode", 1));
}

TEST(GoldenValues, OffsetDelete) {
  const auto m = decode_filled<OffsetDeleteRequest>(0);
  EXPECT_EQ(m.group_id, text("GroupId"));
  EXPECT_EQ(m.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(m.topics.at(1).partitions.at(1).value(), i32("PartitionIndex", 1));

  const auto r = decode_filled<OffsetDeleteResponse>(0);
  EXPECT_EQ(static_cast<std::int16_t>(r.error_code), i16("ErrorCode"));
  EXPECT_EQ(r.throttle_time_ms, i32("ThrottleTimeMs"));
  EXPECT_EQ(r.topics.at(1).name, text("Name", 1));
  EXPECT_EQ(r.topics.at(1).partitions.at(1).index.value(), i32("PartitionIndex", 1));
  EXPECT_EQ(static_cast<std::int16_t>(r.topics.at(1).partitions.at(1).error_code), i16("ErrorCode", 1));
}

/// What a version cannot say must not vanish on the way out; what it may drop, it drops.
TEST(GroupMessages, AFieldThatMattersIsNotDroppedSilently) {
  const auto refused = [](std::int16_t version, const auto& request) {
    const auto payload = encode_request(version, 1, "client", request);
    return !payload && payload.error().code == Errc::kInvalidArgument;
  };
  HeartbeatRequest heartbeat;
  heartbeat.group_instance_id = "static";
  EXPECT_TRUE(refused(2, heartbeat));
  EXPECT_FALSE(refused(3, heartbeat));
  FindCoordinatorRequest find;
  find.key_type = CoordinatorKeyType::kTransaction;
  EXPECT_TRUE(refused(0, find));
  find.coordinator_keys = {"a"};
  EXPECT_TRUE(refused(3, find));
  EXPECT_FALSE(refused(4, find));
  OffsetFetchRequest all_topics;
  all_topics.topics.reset();
  EXPECT_TRUE(refused(1, all_topics));
  EXPECT_FALSE(refused(2, all_topics));
  OffsetFetchRequest stable;
  stable.require_stable = true;
  EXPECT_TRUE(refused(6, stable));
  JoinGroupRequest join;
  join.reason = "rebalance";
  join.rebalance_timeout_ms = 1;
  EXPECT_FALSE(refused(0, join));
  OffsetCommitRequest commit;
  commit.retention_time_ms = 1;
  EXPECT_FALSE(refused(8, commit));

  JoinGroupResponse skip;
  skip.skip_assignment = true;
  EXPECT_FALSE(encode_response(1, 8, skip));
  JoinGroupResponse no_protocol;
  no_protocol.protocol_name.reset();
  EXPECT_FALSE(encode_response(1, 6, no_protocol));
  EXPECT_TRUE(encode_response(1, 7, no_protocol));
}

}  // namespace
}  // namespace tributary
