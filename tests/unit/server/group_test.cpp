// Consumer groups through the broker: the requests, the offsets topic, and what survives.

#include <gmock/gmock.h>

#include <memory>
#include <thread>
#include <vector>

#include "cluster/groups/offset_records.h"
#include "cluster/groups/partition_of.h"
#include "cluster/server/internal_topics.h"
#include "common/protocol/messages/delete_groups.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/leave_group.h"
#include "common/protocol/messages/list_groups.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_delete.h"
#include "common/protocol/messages/offset_fetch.h"
#include "common/protocol/messages/sync_group.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class GroupTest : public BrokerTest {
 protected:
  GroupTest() {
    options_.shards = 2;
    options_.offsets_topic_partitions = 8;
    options_.groups.initial_rebalance_delay_ms = 0;
  }

  void start_with_topic() {
    start();
    ASSERT_EQ(create_topic("t", 2), ErrorCode::kNone);
    FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    ASSERT_EQ(ask(find)->coordinators.at(0).error_code, ErrorCode::kNone);
  }

  JoinGroupRequest join_request(const std::string& group, const std::string& member = "") {
    JoinGroupRequest join;
    join.group_id = group;
    join.member_id = member;
    join.session_timeout_ms = 10'000;
    join.rebalance_timeout_ms = 10'000;
    join.protocol_type = "consumer";
    join.protocols = {{"range", as_bytes(kMetadata)}};
    return join;
  }
  /// The only member of its group, stable; its id.
  std::string join_alone(const std::string& group) {
    auto joined = ask(join_request(group));
    if (joined->error_code == ErrorCode::kMemberIdRequired) joined = ask(join_request(group, joined->member_id));
    EXPECT_EQ(joined->error_code, ErrorCode::kNone);
    generation_ = joined->generation_id;
    auto sync = sync_request(group, joined->member_id);
    sync.assignments = {{joined->member_id, as_bytes("all of it")}};
    const auto synced = ask(sync);
    EXPECT_EQ(synced->error_code, ErrorCode::kNone);
    EXPECT_EQ(as_string_view(synced->assignment), "all of it");
    return joined->member_id;
  }
  ErrorCode heartbeat(const std::string& group, const std::string& member) {
    HeartbeatRequest beat;
    beat.group_id = group;
    beat.generation_id = generation_;
    beat.member_id = member;
    return ask(beat)->error_code;
  }

  SyncGroupRequest sync_request(const std::string& group, const std::string& member) {
    SyncGroupRequest sync;
    sync.group_id = group;
    sync.generation_id = generation_;
    sync.member_id = member;
    sync.protocol_type = "consumer";
    sync.protocol_name = "range";
    return sync;
  }
  std::size_t members_of(const std::string& group) {
    DescribeGroupsRequest describe;
    describe.groups = {group};
    return ask(describe)->groups.at(0).members.size();
  }
  /// One channel of each kind.
  std::vector<std::unique_ptr<RequestChannel>> one_of_each_kind() {
    std::vector<std::unique_ptr<RequestChannel>> channels;
    channels.push_back(connect());
    channels.push_back(connect_by_nng());
    return channels;
  }

  OffsetCommitRequest commit_request(const std::string& group, std::vector<std::pair<std::int32_t, std::int64_t>> offsets,
                                     const std::string& topic = "t") {
    OffsetCommitRequest commit;
    commit.group_id = group;
    auto& committed = commit.topics.emplace_back();
    committed.name = topic;
    for (const auto& [index, offset] : offsets) {
      auto& partition = committed.partitions.emplace_back();
      partition.index = PartitionIndex(index);
      partition.committed_offset = Offset(offset);
      partition.metadata = "m";
    }
    return commit;
  }
  ErrorCode commit(const std::string& group, std::int64_t offset) {
    return ask(commit_request(group, {{0, offset}}))->topics.at(0).partitions.at(0).error_code;
  }
  std::int64_t committed(const std::string& group, std::int32_t index = 0, const std::string& topic = "t") {
    OffsetFetchRequest fetch;
    auto& asked = fetch.groups.emplace_back();
    asked.group_id = group;
    asked.topics = {{{topic, {PartitionIndex(index)}}}};
    const auto answer = ask(fetch);
    EXPECT_EQ(answer->groups.at(0).error_code, ErrorCode::kNone);
    return answer->groups.at(0).topics.at(0).partitions.at(0).committed_offset.value();
  }
  std::int64_t committed_when_loaded(const std::string& group) {
    OffsetFetchRequest fetch;
    auto& asked = fetch.groups.emplace_back();
    asked.group_id = group;
    asked.topics = {{{"t", {PartitionIndex(0)}}}};
    EXPECT_TRUE(eventually(kDeadline, [&] { return ask(fetch)->groups.at(0).error_code == ErrorCode::kNone; }));
    return committed(group);
  }

  /// A group of one, and a second that waits, on `channel`, for the first to join again.
  struct SecondJoins {
    std::string group, first, second;  // the members' ids
    std::future<Answer<JoinGroupResponse>> answer;
  };
  SecondJoins second_joins(RequestChannel& channel) {
    SecondJoins joins{.group = fmt::format("g{}", next_correlation_id_.load()), .first = {}, .second = {}, .answer = {}};
    joins.first = join_alone(joins.group);
    joins.second = ask(channel, join_request(joins.group))->member_id;
    joins.answer = send(channel, join_request(joins.group, joins.second), 9);
    EXPECT_TRUE(eventually(kDeadline, [&] { return heartbeat(joins.group, joins.first) == ErrorCode::kRebalanceInProgress; }));
    return joins;
  }

  static constexpr std::string_view kMetadata = "\0\1topics";
  GenerationId generation_;
};

TEST_F(GroupTest, TheFirstSearchForACoordinatorCreatesTheOffsetsTopic) {
  start();
  FindCoordinatorRequest find;
  find.key = "g";
  const auto found = ask(find, 0);
  EXPECT_EQ(found->error_code, ErrorCode::kNone);
  EXPECT_EQ(found->node_id, options_.node_id);
  EXPECT_EQ(found->port, broker_->kafka_port());
  MetadataRequest metadata;
  metadata.topics.emplace().push_back({.name = std::string(kOffsetsTopic)});
  const auto described = ask(metadata);
  ASSERT_EQ(described->topics.size(), 1u);
  EXPECT_TRUE(described->topics[0].is_internal);
  EXPECT_EQ(described->topics[0].partitions.size(), 8u);

  find.key.clear();
  find.coordinator_keys = {"g", "another"};
  const auto both = ask(find, 4);
  ASSERT_EQ(both->coordinators.size(), 2u);
  EXPECT_EQ(both->coordinators[1].key, "another");
  EXPECT_EQ(both->coordinators[1].node_id, options_.node_id);
  find.key_type = CoordinatorKeyType::kTransaction;
  EXPECT_EQ(ask(find, 4)->coordinators.at(0).error_code, ErrorCode::kInvalidRequest);
}

TEST_F(GroupTest, BeforeThatThereIsNoCoordinator) {
  start();
  EXPECT_EQ(ask(join_request("g"))->error_code, ErrorCode::kNotCoordinator);
  create_topic("t");
  EXPECT_EQ(commit("g", 1), ErrorCode::kNotCoordinator);
}

TEST_F(GroupTest, AMemberJoinsIsAssignedCommitsAndLeaves) {
  start_with_topic();
  const auto member = join_alone("g");
  EXPECT_EQ(heartbeat("g", member), ErrorCode::kNone);
  auto commit = commit_request("g", {{0, 5}, {1, 7}});
  commit.generation_id = generation_;
  commit.member_id = member;
  const auto taken = ask(commit);
  for (const auto& partition : taken->topics.at(0).partitions) EXPECT_EQ(partition.error_code, ErrorCode::kNone);
  EXPECT_EQ(committed("g", 1), 7);
  commit.generation_id = GenerationId(generation_.value() - 1);
  EXPECT_EQ(ask(commit)->topics.at(0).partitions.at(0).error_code, ErrorCode::kIllegalGeneration);

  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members.push_back({member, std::nullopt, "done"});
  const auto left = ask(leave);
  EXPECT_EQ(left->error_code, ErrorCode::kNone);
  EXPECT_EQ(left->members.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(heartbeat("g", member), ErrorCode::kUnknownMemberId);
  leave.members.clear();
  leave.member_id = member;
  EXPECT_EQ(ask(leave, 2)->error_code, ErrorCode::kUnknownMemberId);
}

TEST_F(GroupTest, ASecondMemberMakesTheFirstRebalance) {
  start_with_topic();
  const auto first = join_alone("g");
  const auto second_channel = connect();
  const auto id = ask(*second_channel, join_request("g"))->member_id;
  auto second = send(*second_channel, join_request("g", id), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return heartbeat("g", first) == ErrorCode::kRebalanceInProgress; }));
  const auto again = ask(join_request("g", first));
  const auto joined = second.get();
  EXPECT_EQ(joined->error_code, ErrorCode::kNone);
  EXPECT_EQ(again->generation_id, joined->generation_id);
  EXPECT_EQ(again->leader, first);
  ASSERT_EQ(again->members.size(), 2u);
  EXPECT_EQ(as_string_view(again->members[1].metadata), kMetadata);
  EXPECT_TRUE(joined->members.empty());
}

TEST_F(GroupTest, WhoWaitsToJoinAndLosesItsConnectionIsNotCountedIn) {
  start_with_topic();
  for (auto& channel : one_of_each_kind()) {
    auto [group, first, id, second] = second_joins(*channel);
    EXPECT_EQ(members_of(group), 2u);
    channel.reset();
    EXPECT_TRUE(eventually(5s, [&] { return members_of(group) == 1; }));  // its session would last longer
    EXPECT_EQ(ask(join_request(group, first))->members.size(), 1u);
    EXPECT_EQ(ask(join_request(group, id))->error_code, ErrorCode::kUnknownMemberId);
  }
}

TEST_F(GroupTest, WhoWaitsForItsAssignmentAndLosesItsConnectionIsRemoved) {
  start_with_topic();
  for (auto& channel : one_of_each_kind()) {
    auto [group, first, id, second] = second_joins(*channel);
    const auto again = ask(join_request(group, first));
    generation_ = again->generation_id;
    EXPECT_EQ(second.get()->generation_id, generation_);
    auto waits = send(*channel, sync_request(group, id), 5);
    EXPECT_EQ(waits.wait_for(50ms), std::future_status::timeout);
    channel.reset();
    EXPECT_TRUE(eventually(5s, [&] { return heartbeat(group, first) == ErrorCode::kRebalanceInProgress; }));
    EXPECT_EQ(ask(join_request(group, first))->members.size(), 1u);
  }
}

TEST_F(GroupTest, AnIdThatWasHandedOutIsNotWaitedForWhenItsConnectionEnds) {
  start_with_topic();
  for (auto& channel : one_of_each_kind()) {
    const auto group = fmt::format("g{}", next_correlation_id_.load());
    const auto first = join_alone(group);
    EXPECT_EQ(ask(*channel, join_request(group))->error_code, ErrorCode::kMemberIdRequired);
    auto again = send(*channel_, join_request(group, first), 9);
    EXPECT_EQ(again.wait_for(50ms), std::future_status::timeout);
    channel.reset();
    ASSERT_EQ(again.wait_for(5s), std::future_status::ready);
    EXPECT_EQ(again.get()->members.size(), 1u);
  }
}

TEST_F(GroupTest, AMemberWithItsAssignmentComesBackOnAnotherConnection) {
  start_with_topic();
  const auto member = join_alone("g");
  channel_ = connect();
  // The former connection's end was told to whom it concerns before it was counted; the new one begins with a request.
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_connections", {{"listener", "kafka"}}) == 0; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(heartbeat("g", member), ErrorCode::kNone);
}

TEST_F(GroupTest, AStopRemovesNobodyWhoWaits) {
  start_with_topic();
  const auto member = join_alone("g");
  const auto other = connect();
  EXPECT_EQ(ask(*other, join_request("g"))->error_code, ErrorCode::kMemberIdRequired);
  auto waiting = send(*channel_, join_request("g", member), 9);  // for the other
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
  restart();
  EXPECT_TRUE(eventually(kDeadline, [&] { return heartbeat("g", member) == ErrorCode::kNone; }));
}

TEST_F(GroupTest, OffsetsAndMembersSurviveACrashAndACleanStop) {
  start_with_topic();
  const auto member = join_alone("g");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(commit("outside-" + std::to_string(i), 100 + i), ErrorCode::kNone);
  crash();
  start();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(committed_when_loaded("outside-" + std::to_string(i)), 100 + i);
  ASSERT_TRUE(eventually(kDeadline, [&] { return heartbeat("g", member) == ErrorCode::kNone; }));
  EXPECT_EQ(commit("outside-3", 999), ErrorCode::kNone);
  restart();
  EXPECT_EQ(committed_when_loaded("outside-3"), 999);
  ASSERT_TRUE(eventually(kDeadline, [&] { return heartbeat("g", member) == ErrorCode::kNone; }));
}

TEST_F(GroupTest, ACommitForWhatThereIsNotIsRefusedAndTheRestTaken) {
  start_with_topic();
  const auto answer = ask(commit_request("g", {{9, 1}, {0, 2}, {-1, 3}, {1, 4}}));
  const auto& partitions = answer->topics.at(0).partitions;
  EXPECT_EQ(partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(partitions.at(1).error_code, ErrorCode::kNone);
  EXPECT_EQ(partitions.at(2).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(partitions.at(3).error_code, ErrorCode::kNone);
  EXPECT_EQ(committed("g", 1), 4);
  EXPECT_EQ(ask(commit_request("g", {{0, 1}}, "nowhere"))->topics.at(0).partitions.at(0).error_code,
            ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(GroupTest, OffsetsAreFetchedInTheFormOfEachVersion) {
  start_with_topic();
  EXPECT_EQ(commit("g", 5), ErrorCode::kNone);
  OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics = {{{"t", {PartitionIndex(0), PartitionIndex(1)}}, {"nowhere", {PartitionIndex(0)}}}};
  const auto one = ask(fetch, 5);
  ASSERT_EQ(one->topics.size(), 2u);
  EXPECT_EQ(one->topics[0].partitions.at(0).committed_offset, Offset(5));
  EXPECT_EQ(one->topics[0].partitions.at(0).metadata, "m");
  EXPECT_EQ(one->topics[0].partitions.at(1).committed_offset, Offset(-1));
  EXPECT_EQ(one->topics[1].partitions.at(0).committed_offset, Offset(-1));
  fetch.topics.reset();
  const auto all = ask(fetch, 2);
  ASSERT_EQ(all->topics.size(), 1u);
  EXPECT_EQ(all->topics[0].partitions.size(), 1u);

  OffsetFetchRequest many;
  many.groups.push_back({"g", std::nullopt});
  many.groups.push_back({"unknown", std::nullopt});
  const auto both = ask(many, 8);
  ASSERT_EQ(both->groups.size(), 2u);
  EXPECT_EQ(both->groups[0].topics.at(0).partitions.at(0).committed_offset, Offset(5));
  EXPECT_EQ(both->groups[1].group_id, "unknown");
  EXPECT_TRUE(both->groups[1].topics.empty());
}

TEST_F(GroupTest, GroupsOfAllShardsAreListedDescribedAndDeleted) {
  start_with_topic();
  const auto member = join_alone("alive");
  std::vector<std::string> names{"alive"};
  for (int i = 0; i < 10; ++i) {
    names.push_back("g" + std::to_string(i));
    EXPECT_EQ(commit(names.back(), i), ErrorCode::kNone);
  }
  const auto listed = [&](std::vector<std::string> states) {
    std::vector<std::string> found;
    ListGroupsRequest list;
    list.states_filter = std::move(states);
    const auto answer = ask(list);
    for (const auto& group : answer->groups) found.push_back(group.group_id);
    return found;
  };
  EXPECT_THAT(listed({}), testing::UnorderedElementsAreArray(names));
  EXPECT_THAT(listed({"Stable"}), ElementsAre("alive"));

  DescribeGroupsRequest describe;
  describe.groups = {"alive", "g1", "unknown"};
  describe.include_authorized_operations = true;
  const auto described = ask(describe);
  ASSERT_EQ(described->groups.size(), 3u);
  EXPECT_EQ(described->groups[0].state, "Stable");
  EXPECT_EQ(described->groups[0].protocol_name, "range");
  ASSERT_EQ(described->groups[0].members.size(), 1u);
  EXPECT_EQ(described->groups[0].members[0].member_id, member);
  EXPECT_EQ(described->groups[0].members[0].client_id, "unit-test");
  EXPECT_EQ(described->groups[0].members[0].client_host, "/127.0.0.1");
  EXPECT_EQ(as_string_view(described->groups[0].members[0].assignment), "all of it");
  EXPECT_EQ(described->groups[1].state, "Empty");
  EXPECT_EQ(described->groups[2].state, "Dead");
  EXPECT_NE(described->groups[0].authorized_operations, 0);

  DeleteGroupsRequest remove;
  remove.groups = {"alive", "g1", "unknown", "g2"};
  const auto removed = ask(remove);
  ASSERT_EQ(removed->groups.size(), 4u);
  EXPECT_EQ(removed->groups[0].error_code, ErrorCode::kNonEmptyGroup);
  EXPECT_EQ(removed->groups[1].error_code, ErrorCode::kNone);
  EXPECT_EQ(removed->groups[2].error_code, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(removed->groups[3].error_code, ErrorCode::kNone);
  crash();
  start();
  EXPECT_EQ(committed_when_loaded("g1"), -1);
  EXPECT_EQ(committed_when_loaded("g3"), 3);
}

TEST_F(GroupTest, AGroupThatIsNamedTwiceIsAnsweredOnce) {
  start_with_topic();
  EXPECT_EQ(commit("g", 1), ErrorCode::kNone);
  DescribeGroupsRequest describe;
  describe.groups = {"g", "g", "h", "g"};
  const auto described = ask(describe);
  ASSERT_EQ(described->groups.size(), 2u);
  EXPECT_EQ(described->groups[1].group_id, "h");
  OffsetFetchRequest fetch;
  fetch.groups = {{"g", std::nullopt}, {"g", std::nullopt}};
  EXPECT_EQ(ask(fetch)->groups.size(), 1u);
  DeleteGroupsRequest remove;
  remove.groups = {"g", "g"};
  const auto removed = ask(remove);
  ASSERT_EQ(removed->groups.size(), 1u);
  EXPECT_EQ(removed->groups[0].error_code, ErrorCode::kNone);
}

TEST_F(GroupTest, TheLimitsOfTopicsDoNotKeepGroupsFromBeingServed) {
  options_.partitions_max = 2;
  options_.partitions_per_topic_max = 2;
  options_.message_bytes_max = 1024;
  start_with_topic();
  auto large = commit_request("g", {});
  for (int i = 0; i < 200; ++i) large.topics[0].partitions.push_back({PartitionIndex(0), Offset(i), kNoLeaderEpoch, std::string(100, 'm')});
  EXPECT_EQ(ask(large)->topics.at(0).partitions.at(199).error_code, ErrorCode::kNone);
  EXPECT_EQ(committed("g"), 199);
}

TEST_F(GroupTest, OffsetsGoWithTheirTopicAndOneByOne) {
  start_with_topic();
  ASSERT_EQ(create_topic("u"), ErrorCode::kNone);
  EXPECT_EQ(ask(commit_request("g", {{0, 5}, {1, 6}}))->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(ask(commit_request("g", {{0, 7}}, "u"))->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  OffsetDeleteRequest remove;
  remove.group_id = "g";
  remove.topics = {{"t", {PartitionIndex(1), PartitionIndex(9)}}};
  const auto removed = ask(remove);
  EXPECT_EQ(removed->error_code, ErrorCode::kNone);
  EXPECT_EQ(removed->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(removed->topics.at(0).partitions.at(1).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(committed("g", 1), -1);
  EXPECT_EQ(committed("g", 0), 5);
  remove.group_id = "unknown";
  EXPECT_EQ(ask(remove)->error_code, ErrorCode::kGroupIdNotFound);

  EXPECT_EQ(delete_topic("u"), ErrorCode::kNone);
  ASSERT_EQ(create_topic("u"), ErrorCode::kNone);
  EXPECT_TRUE(eventually(kDeadline, [&] { return committed("g", 0, "u") == -1; }));
  EXPECT_EQ(committed("g", 0), 5);
}

TEST_F(GroupTest, ClientsNeitherWriteNorCreateNorDeleteTheOffsetsTopic) {
  start();
  EXPECT_EQ(create_topic(std::string(kOffsetsTopic)), ErrorCode::kInvalidTopicException);
  FindCoordinatorRequest find;
  find.key = "g";
  EXPECT_EQ(ask(find, 2)->error_code, ErrorCode::kNone);
  EXPECT_EQ(delete_topic(std::string(kOffsetsTopic)), ErrorCode::kInvalidTopicException);
  EXPECT_EQ(produce(std::string(kOffsetsTopic), 0, make_batch()).error_code, ErrorCode::kInvalidTopicException);
  DeleteRecordsRequest shorten;
  shorten.topics = {{std::string(kOffsetsTopic), {{PartitionIndex(0), Offset(-1)}}}};
  EXPECT_EQ(ask(shorten)->topics.at(0).partitions.at(0).error_code, ErrorCode::kInvalidTopicException);
  EXPECT_EQ(fetch(std::string(kOffsetsTopic), 0, 0)->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
}

TEST_F(GroupTest, MalformedRecordsOfTheOffsetsTopicArePassedOver) {
  start_with_topic();
  EXPECT_EQ(commit("g", 5), ErrorCode::kNone);
  stop();
  // Whole batches of garbage, as a broken writer would have left them: with a valid CRC.
  const auto index = offsets_partition_of("g", 8);
  {
    auto options = LogDirectoryOptions{.folder = options_.data, .broker_id = options_.node_id};
    auto directory = LogDirectory::open(fs_, system_clock(), options);
    ASSERT_TRUE(directory) << directory.error().message;
    auto log = (*directory)->open_log({std::string(kOffsetsTopic), PartitionIndex(index)}, {});
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_TRUE((*log)->append(make_batch(3), LeaderEpoch(0)));
    BatchBuilder builder;
    const auto key = encode(OffsetCommitKey{"g", {"t", PartitionIndex(0)}});
    builder.append(1, ByteView(key), as_bytes("not a commit"));
    builder.append(1, ByteView(key).first(5), as_bytes(""));
    ASSERT_TRUE((*log)->append(*builder.finish({}), LeaderEpoch(0)));
    ASSERT_TRUE((*log)->close_cleanly());
  }
  start();
  EXPECT_EQ(committed_when_loaded("g"), 5);
  EXPECT_EQ(commit("g", 6), ErrorCode::kNone);
}

TEST_F(GroupTest, AStopAnswersWhoWaitsForAGroup) {
  options_.groups.initial_rebalance_delay_ms = 60'000;
  start_with_topic();
  const auto id = ask(join_request("g"))->member_id;
  auto waiting = send(*channel_, join_request("g", id), 9);
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
  stop();
  const auto answer = waiting.get();  // an answer, or a closed connection: not silence
  if (answer) {
    EXPECT_EQ(answer->error_code, ErrorCode::kNotCoordinator);
  }
}

}  // namespace
}  // namespace tributary::test
