// KIP-211: offsets that nobody has used for the retention time.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

using std::chrono::hours;

class ExpiryTest : public GroupTest {
 protected:
  static constexpr auto kDay = hours(24);

  ExpiryTest() {
    options_.offsets_retention_check_ms = 3'600'000;  // fewer steps
    restart();
  }
  static GroupJoin patient() {
    auto request = consumer();
    request.session_timeout_ms = 1'800'000;
    return request;
  }
  std::string patient_group() {
    const auto token = join(patient());
    run(3s);
    sync_all({token});
    return joined(token).member_id;
  }
};

TEST_F(ExpiryTest, ASimpleConsumersOffsetExpiresAfterItsCommit) {
  commit(1);
  run(4 * kDay);
  commit({.group_id = "g", .partitions = {{kReadings1, Offset(2), kNoLeaderEpoch, ""}}});
  run(3 * kDay - 1h);
  EXPECT_EQ(fetched(kReadings0), 1);
  run(1h + 1min);
  EXPECT_EQ(fetched(kReadings0), -1);
  EXPECT_EQ(fetched(kReadings1), 2);
  run(4 * kDay);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  restart();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(ExpiryTest, AGroupsOffsetsStayAsLongAsItHasMembers) {
  const auto id = patient_group();
  EXPECT_EQ(committed(commit(1, id, 1)), ErrorCode::kNone);
  for (int i = 0; i < 30 * 24 * 3; ++i) {
    run(20min);
    ASSERT_EQ(heartbeat(id, 1), ErrorCode::kNone);
  }
  EXPECT_EQ(fetched(), 1);
}

TEST_F(ExpiryTest, AGroupsOffsetsExpireAfterItBecameEmptyAndTheGroupWithThem) {
  const auto ids = stable_group(1);
  commit(1, ids[0], 1);
  leave({{ids[0], {}}});
  run(7 * kDay - 1h);
  EXPECT_EQ(fetched(), 1);
  run(2h);
  EXPECT_EQ(fetched(), -1);
  EXPECT_EQ(state(), GroupState::kDead);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  restart();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(ExpiryTest, TheTimeSinceAGroupIsEmptyIsKnownAfterARestart) {
  const auto ids = stable_group(1);
  commit(1, ids[0], 1);
  leave({{ids[0], {}}});
  run(6 * kDay);
  restart();
  EXPECT_EQ(fetched(), 1);
  run(kDay + 1h);
  EXPECT_EQ(fetched(), -1);
}

TEST_F(ExpiryTest, OffsetsOfTopicsThatAreNoLongerReadExpireWhileTheGroupIsStable) {
  const auto id = patient_group();
  const TopicPartition old{"old", PartitionIndex(0)};
  commit({.group_id = "g",
          .member_id = id,
          .generation_id = 1,
          .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}, {old, Offset(2), kNoLeaderEpoch, ""}}});
  for (int i = 0; i < 7 * 24 * 3 + 6; ++i) {
    run(20min);
    ASSERT_EQ(heartbeat(id, 1), ErrorCode::kNone);
  }
  EXPECT_EQ(fetched(kReadings0), 1);
  EXPECT_EQ(fetched(old), -1);
}

TEST_F(ExpiryTest, ARetentionThatTheClientAskedForIsKept) {
  commit({.group_id = "g", .retention_ms = 3'600'000, .partitions = {{kReadings0, Offset(1), kNoLeaderEpoch, ""}}});
  commit({.group_id = "g",
          .retention_ms = std::numeric_limits<std::int64_t>::max(),
          .partitions = {{kReadings1, Offset(2), kNoLeaderEpoch, ""}}});
  restart();
  run(2h);
  EXPECT_EQ(fetched(kReadings0), -1);
  run(30 * kDay);
  EXPECT_EQ(fetched(kReadings1), 2);
}

TEST_F(ExpiryTest, AnOffsetThatIsBeingCommittedDoesNotExpire) {
  commit(1);
  run(7 * kDay - 1h);
  hold_appends();
  const auto token = commit(2);
  run(2h);
  EXPECT_EQ(held(), 1u);
  release_appends();
  EXPECT_EQ(committed(token), ErrorCode::kNone);
  run(2h);
  EXPECT_EQ(fetched(), 2);
}

TEST_F(ExpiryTest, ATombstoneThatCouldNotBeWrittenIsWrittenLater) {
  commit(1);
  fail_appends(ErrorCode::kNotEnoughReplicas);
  run(7 * kDay + 2h);
  EXPECT_EQ(fetched(), 1);
  fail_appends(ErrorCode::kNone);
  run(1h);
  EXPECT_EQ(fetched(), -1);
  restart();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(ExpiryTest, OneTombstoneIsUnderWayAtATime) {
  commit(1);
  hold_appends();
  run(8 * kDay);
  EXPECT_EQ(held(), 1u);
}

TEST_F(ExpiryTest, AnEmptyGroupWithoutOffsetsIsRemovedAtTheNextCheck) {
  const auto ids = stable_group(1);
  leave({{ids[0], {}}});
  EXPECT_EQ(coordinator_->group_count(), 1u);
  run(1h);
  EXPECT_EQ(coordinator_->group_count(), 0u);
  restart();
  EXPECT_EQ(coordinator_->group_count(), 0u);
}

TEST_F(ExpiryTest, AGroupThatSomebodyIsAboutToJoinIsNotRemoved) {
  const auto ids = stable_group(1);
  leave({{ids[0], {}}});
  run(59min);
  auto request = patient();
  request.member_id_required = true;
  request.member_id = joined(join(request)).member_id;
  run(2min);
  EXPECT_EQ(state(), GroupState::kEmpty);
  const auto token = join(request);
  run(3s);
  EXPECT_EQ(joined(token).error, ErrorCode::kNone);
}

}  // namespace
}  // namespace tributary
