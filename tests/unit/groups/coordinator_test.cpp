// Partitions that come and go, and reads over all groups.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class CoordinatorTest : public GroupTest {
 protected:
  std::int32_t partition() const { return coordinator_->partition_of("g"); }
  GroupOffsetDeleteResult offsets_deleted(ReplyToken token) const { return answer<GroupOffsetDeleteResult>(token); }
  void unload() {
    coordinator_->unload(partition());
    pump();
  }
  Result<> load_record(const OffsetsRecord& record) {
    return coordinator_->load_record(partition(), record.key,
                                     record.value ? std::optional<ByteView>(*record.value) : std::nullopt);
  }
};

TEST_F(CoordinatorTest, APartitionOfAnotherBrokerIsNotServed) {
  restart_unloaded();
  EXPECT_EQ(joined(join(consumer())).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(synced(sync("m", 1)).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(heartbeat("m", 1), ErrorCode::kNotCoordinator);
  EXPECT_EQ(leave({{"m", {}}}).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(committed(commit(1)), ErrorCode::kNotCoordinator);
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(answer<GroupDeleteResult>(delete_group()).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(coordinator_->fetch({.group_id = "g"}).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(coordinator_->describe("g").error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(coordinator_->list().error, ErrorCode::kNone);
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(CoordinatorTest, WhileAPartitionLoadsMembersAreKeptAndTheOthersWait) {
  restart_unloaded();
  coordinator_->start_loading(partition());
  EXPECT_EQ(joined(join(consumer())).error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(synced(sync("m", 1)).error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(heartbeat("m", 1), ErrorCode::kNone);
  EXPECT_EQ(leave({{"m", {}}}).error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(committed(commit(1)), ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(offsets_deleted(delete_offsets({kReadings0})).error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(answer<GroupDeleteResult>(delete_group()).error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(coordinator_->fetch({.group_id = "g"}).error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(coordinator_->describe("g").error, ErrorCode::kCoordinatorLoadInProgress);
  EXPECT_EQ(coordinator_->list().error, ErrorCode::kCoordinatorLoadInProgress);
  coordinator_->finish_loading(now_, partition());
  EXPECT_EQ(committed(commit(1)), ErrorCode::kNone);
}

TEST_F(CoordinatorTest, ABadRecordIsReportedAndTheOthersAreLoaded) {
  restart_unloaded();
  coordinator_->start_loading(partition());
  const auto good = encode(CommittedOffset{Offset(5), kNoLeaderEpoch, "", now_.wall_ms, {}});
  const auto key = encode(OffsetCommitKey{"g", kReadings0});
  EXPECT_TRUE(load_record({key, good}));
  EXPECT_EQ(load_record({bytes_of("?"), good}).error().code, Errc::kCorrupt);
  EXPECT_EQ(load_record({key, bytes_of("?")}).error().code, Errc::kCorrupt);
  EXPECT_EQ(load_record({Bytes{0, 3, 0, 0}, good}).error().code, Errc::kUnsupported);
  EXPECT_EQ(load_record({encode(GroupMetadataKey{"g"}), Bytes{0, 9}}).error().code, Errc::kUnsupported);
  const auto elsewhere = load_record({encode(GroupMetadataKey{"hello"}), {}});
  EXPECT_EQ(elsewhere.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(elsewhere.error().message, HasSubstr("hello"));
  EXPECT_EQ(load_record({encode(GroupMetadataKey{std::string(2'000, 'g')}), {}}).error().code, Errc::kInvalidArgument);
  coordinator_->finish_loading(now_, partition());
  EXPECT_EQ(fetched(), 5);
}

TEST_F(CoordinatorTest, OfEveryKeyTheLastRecordCounts) {
  restart_unloaded();
  coordinator_->start_loading(partition());
  const auto value = [&](std::int64_t offset) {
    return encode(CommittedOffset{Offset(offset), kNoLeaderEpoch, "", now_.wall_ms, {}});
  };
  const auto first = encode(OffsetCommitKey{"g", kReadings0});
  const auto second = encode(OffsetCommitKey{"g", kReadings1});
  const GroupMetadataValue group{.protocol_type = "consumer", .generation = 7};
  EXPECT_TRUE(load_record({first, value(1)}));
  EXPECT_TRUE(load_record({second, value(2)}));
  EXPECT_TRUE(load_record({encode(GroupMetadataKey{"g"}), encode(group)}));
  EXPECT_TRUE(load_record({first, value(3)}));
  EXPECT_TRUE(load_record({second, {}}));
  EXPECT_TRUE(load_record({encode(GroupMetadataKey{"g"}), {}}));
  coordinator_->finish_loading(now_, partition());
  EXPECT_EQ(fetched(kReadings0), 3);
  EXPECT_EQ(fetched(kReadings1), -1);
  EXPECT_TRUE(coordinator_->list().groups.at(0).protocol_type.empty());
}

TEST_F(CoordinatorTest, TimeoutsFromTheLogThatCannotBeAreRaised) {
  restart_unloaded();
  coordinator_->start_loading(partition());
  GroupMetadataValue group{.protocol_type = "consumer", .generation = 7, .protocol = "range", .leader = "m"};
  group.members.push_back({"m", "i", "c", "h", -5, -5, subscription_to({"readings"}), {}});
  EXPECT_TRUE(load_record({encode(GroupMetadataKey{"g"}), encode(group)}));
  coordinator_->finish_loading(now_, partition());
  EXPECT_EQ(heartbeat("m", 7, "i"), ErrorCode::kNone);
  run(1h);
  EXPECT_EQ(state(), GroupState::kDead);
}

TEST_F(CoordinatorTest, AfterTheLargestGenerationComesOne) {
  restart_unloaded();
  coordinator_->start_loading(partition());
  const GroupMetadataValue group{.protocol_type = "consumer", .generation = std::numeric_limits<std::int32_t>::max()};
  EXPECT_TRUE(load_record({encode(GroupMetadataKey{"g"}), encode(group)}));
  coordinator_->finish_loading(now_, partition());
  const auto token = join(consumer());
  run(3s);
  EXPECT_EQ(joined(token).generation_id, 1);
}

TEST_F(CoordinatorTest, AnUnloadedPartitionAnswersAllThatWaits) {
  const auto ids = stable_group(2);
  hold_appends();
  const auto committing = commit(1, ids[0], 1);
  const auto joining = join(consumer());
  const auto rejoining = join(consumer(ids[0]));
  unload();
  EXPECT_EQ(committed(committing), ErrorCode::kNotCoordinator);
  EXPECT_EQ(joined(joining).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(joined(rejoining).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(heartbeat(ids[0], 1), ErrorCode::kNotCoordinator);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  EXPECT_EQ(coordinator_->next_deadline(), MonoTime::max());
  release_appends();  // of tickets that mean nothing any more
}

TEST_F(CoordinatorTest, AnUnloadedPartitionAnswersSyncs) {
  const std::vector joins{join(consumer()), join(consumer())};
  run(6s);
  hold_appends();
  const auto first = sync(joined(joins[0]).member_id, 1);
  const auto second = sync(joined(joins[1]).member_id, 1);
  unload();
  EXPECT_EQ(synced(first).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(synced(second).error, ErrorCode::kNotCoordinator);
}

TEST_F(CoordinatorTest, AnUnloadedPartitionAnswersDeletions) {
  commit(1);
  hold_appends();
  const auto deleting_offsets = delete_offsets({kReadings0});
  const auto deleting = delete_group();
  unload();
  EXPECT_EQ(offsets_deleted(deleting_offsets).partitions.at(0).error, ErrorCode::kNotCoordinator);
  EXPECT_EQ(answer<GroupDeleteResult>(deleting).error, ErrorCode::kNotCoordinator);
}

TEST_F(CoordinatorTest, AnUnloadedPartitionAnswersAStaticMemberThatComesBack) {
  const auto token = join(static_consumer("a"));
  run(3s);
  sync_all({token});
  hold_appends();
  const auto back = join(static_consumer("a"));
  unload();
  EXPECT_EQ(joined(back).error, ErrorCode::kNotCoordinator);
}

TEST_F(CoordinatorTest, ATicketFromBeforeAnUnloadChangesNothingAfterwards) {
  hold_appends();
  commit(1);
  const auto ticket = appends_.back().ticket;
  unload();
  load(partition());
  coordinator_->appended(now_, ticket, ErrorCode::kNone);
  EXPECT_EQ(fetched(), -1);  // it was not in the log when that was read
}

TEST_F(CoordinatorTest, APartitionComesBackAsTheLogHasIt) {
  const auto ids = stable_group(2);
  commit(9, ids[0], 1);
  unload();
  load(partition());
  EXPECT_EQ(heartbeat(ids[1], 1), ErrorCode::kNone);
  EXPECT_EQ(fetched(), 9);
}

TEST_F(CoordinatorTest, AnInterruptedLoadLeavesNothing) {
  commit(1);
  restart_unloaded();
  coordinator_->start_loading(partition());
  EXPECT_TRUE(load_record(log_[partition()].at(0)));
  unload();
  coordinator_->start_loading(partition());
  coordinator_->finish_loading(now_, partition());
  EXPECT_EQ(fetched(), -1);
}

TEST_F(CoordinatorTest, GroupsAreListedByState) {
  stable_group(1);
  commit({.group_id = "simple", .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}});
  EXPECT_THAT(coordinator_->list().groups, SizeIs(2));
  const auto stable = coordinator_->list({"stable"});
  ASSERT_THAT(stable.groups, SizeIs(1));
  EXPECT_EQ(stable.groups[0].group_id, "g");
  EXPECT_EQ(stable.groups[0].protocol_type, "consumer");
  EXPECT_EQ(stable.groups[0].state, GroupState::kStable);
  const auto empty = coordinator_->list({"EMPTY", "Dead"});
  ASSERT_THAT(empty.groups, SizeIs(1));
  EXPECT_EQ(empty.groups[0].group_id, "simple");
  EXPECT_THAT(coordinator_->list({"nonsense"}).groups, SizeIs(0));
}

TEST_F(CoordinatorTest, AGroupThatThereIsNotIsDead) {
  const auto shown = coordinator_->describe("nobody");
  EXPECT_EQ(shown.error, ErrorCode::kNone);
  EXPECT_EQ(shown.state, GroupState::kDead);
  EXPECT_EQ(name_of(shown.state), "Dead");
}

TEST_F(CoordinatorTest, AppendsGoToTheGroupsPartition) {
  commit({.group_id = "hello", .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}});
  ASSERT_THAT(appends_, SizeIs(1));
  EXPECT_EQ(appends_[0].partition, 22);
}

TEST_F(CoordinatorTest, TooLongGroupIdsAreRefusedEverywhere) {
  const std::string long_id(1'025, 'g');
  EXPECT_EQ(coordinator_->fetch({.group_id = long_id}).error, ErrorCode::kInvalidGroupId);
  EXPECT_EQ(coordinator_->describe(long_id).error, ErrorCode::kInvalidGroupId);
  EXPECT_EQ(answer<GroupDeleteResult>(delete_group(long_id)).error, ErrorCode::kInvalidGroupId);
  EXPECT_EQ(committed(commit({.group_id = long_id, .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}})),
            ErrorCode::kInvalidGroupId);
}

}  // namespace
}  // namespace tributary
