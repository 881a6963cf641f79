#include "cluster/client/groups.h"

#include <gtest/gtest.h>

#include "cluster/client/consumer_protocol.h"
#include "tests/support/code_of.h"
#include "tests/unit/client/partitions.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

using test::code_of;

using namespace std::chrono_literals;

class Groups : public testing::TestWithParam<Endpoint::Kind> {
 protected:
  void SetUp() override {
    cluster_.add_topic("t", 2);
    client_ = ClusterClient::connect({.bootstrap = {cluster_.url()}, .request_timeout = 300ms}, deadline_in(5s)).value();
  }
  ScriptedGroup with_member() {
    ScriptedGroup group;
    group.members["m-1"] = {"reader", {}, encode_assignment({kFirst, kSecond})};
    group.generation = 3;
    return group;
  }

  ScriptedCluster cluster_{GetParam(), 2};
  std::unique_ptr<ClusterClient> client_;
};
INSTANTIATE_TEST_SUITE_P(Transports, Groups, testing::Values(Endpoint::Kind::kNng, Endpoint::Kind::kKafkaTcp),
                         [](const auto& kind) { return kind.param == Endpoint::Kind::kNng ? "Nng" : "KafkaTcp"; });

TEST_P(Groups, AreListedByIdAndState) {
  cluster_.set_group("b", with_member());
  cluster_.set_group("a", {});
  const auto all = list_groups(*client_, {}, deadline_in(5s));
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->at(0).id, "a");
  EXPECT_EQ(all->at(0).state, "Empty");
  EXPECT_EQ(all->at(1).protocol_type, "consumer");
  const auto stable = list_groups(*client_, {"Stable"}, deadline_in(5s));
  ASSERT_EQ(stable->size(), 1u);
  EXPECT_EQ(stable->at(0).id, "b");
}

TEST_P(Groups, AreDescribedWithTheirMembersPartitions) {
  cluster_.set_group("g", with_member());
  const auto info = describe_group(*client_, "g", deadline_in(5s));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->summary.state, "Stable");
  EXPECT_EQ(info->assignor, "range");
  ASSERT_EQ(info->members.size(), 1u);
  EXPECT_EQ(info->members[0].client_id, "reader");
  EXPECT_EQ(info->members[0].assigned, (std::vector{kFirst, kSecond}));
  const auto none = describe_group(*client_, "none", deadline_in(5s));
  ASSERT_EQ(code_of(none), Errc::kNotFound);
  EXPECT_EQ(none.error().message, "group none does not exist");
}

TEST_P(Groups, OffsetsAreSetReadAndForgotten) {
  EXPECT_TRUE(committed_offsets(*client_, "g", deadline_in(5s))->empty());
  ASSERT_TRUE(commit_offsets(*client_, "g", {{kFirst, Offset(7)}, {kSecond, Offset(0)}}, deadline_in(5s)));
  const auto offsets = committed_offsets(*client_, "g", deadline_in(5s));
  ASSERT_EQ(offsets->size(), 2u);
  EXPECT_EQ(offsets->at(0).partition, kFirst);
  EXPECT_EQ(offsets->at(0).offset, Offset(7));
  ASSERT_TRUE(delete_offsets(*client_, "g", {kFirst}, deadline_in(5s)));
  EXPECT_EQ(committed_offsets(*client_, "g", deadline_in(5s))->at(0).partition, kSecond);
  EXPECT_EQ(code_of(delete_offsets(*client_, "none", {kFirst}, deadline_in(5s))), Errc::kNotFound);
  ASSERT_TRUE(delete_group(*client_, "g", deadline_in(5s)));
  EXPECT_EQ(code_of(delete_group(*client_, "g", deadline_in(5s))), Errc::kNotFound);
}

TEST_P(Groups, WithMembersAreLeftAlone) {
  cluster_.set_group("g", with_member());
  const auto set = commit_offsets(*client_, "g", {{kFirst, Offset(7)}}, deadline_in(5s));
  ASSERT_EQ(code_of(set), Errc::kLocked);
  EXPECT_EQ(set.error().message, "group g has members: its consumers must be stopped first");
  EXPECT_EQ(code_of(delete_group(*client_, "g", deadline_in(5s))), Errc::kLocked);
  EXPECT_EQ(code_of(delete_offsets(*client_, "g", {kFirst}, deadline_in(5s))), Errc::kLocked);
}

TEST_P(Groups, APartitionThatThereIsNotIsNamed) {
  cluster_.inject({.api = ApiKey::kOffsetCommit, .code = ErrorCode::kUnknownTopicOrPartition});
  const auto set = commit_offsets(*client_, "g", {{kFirst, Offset(7)}}, deadline_in(5s));
  ASSERT_EQ(code_of(set), Errc::kNotFound);
  EXPECT_EQ(set.error().message, "partition t-0 does not exist");
}

TEST_P(Groups, ACoordinatorThatLoadsIsAskedAgain) {
  cluster_.set_group("g", {});
  for (const auto code : {ErrorCode::kCoordinatorNotAvailable, ErrorCode::kCoordinatorLoadInProgress}) {
    cluster_.inject({.api = ApiKey::kFindCoordinator, .times = 2, .code = code});
    EXPECT_TRUE(describe_group(*client_, "g", deadline_in(5s)));
  }
  for (const auto api : {ApiKey::kOffsetCommit, ApiKey::kOffsetFetch, ApiKey::kOffsetDelete, ApiKey::kDescribeGroups,
                         ApiKey::kListGroups, ApiKey::kDeleteGroups})
    cluster_.inject({.api = api, .times = 2, .code = ErrorCode::kCoordinatorLoadInProgress});
  EXPECT_TRUE(commit_offsets(*client_, "g", {{kFirst, Offset(7)}}, deadline_in(5s)));
  EXPECT_EQ(committed_offsets(*client_, "g", deadline_in(5s))->size(), 1u);
  EXPECT_EQ(list_groups(*client_, {}, deadline_in(5s))->size(), 1u);
  EXPECT_EQ(describe_group(*client_, "g", deadline_in(5s))->summary.state, "Empty");
  EXPECT_TRUE(delete_offsets(*client_, "g", {kFirst}, deadline_in(5s)));
  EXPECT_TRUE(delete_group(*client_, "g", deadline_in(5s)));
}

TEST_P(Groups, ACoordinatorThatMovesIsFollowed) {
  cluster_.set_group("g", {});
  ASSERT_TRUE(describe_group(*client_, "g", deadline_in(5s)));
  cluster_.set_coordinator(1);
  EXPECT_TRUE(describe_group(*client_, "g", deadline_in(5s)));
  EXPECT_EQ(list_groups(*client_, {}, deadline_in(5s))->size(), 1u);
  cluster_.inject({.api = ApiKey::kDescribeGroups, .times = 2, .code = ErrorCode::kNotCoordinator});
  EXPECT_TRUE(describe_group(*client_, "g", deadline_in(5s)));
}

TEST_P(Groups, ALostAnswerIsAskedForAgain) {
  cluster_.inject({.api = ApiKey::kOffsetCommit, .swallow_answer = true});
  EXPECT_TRUE(commit_offsets(*client_, "g", {{kFirst, Offset(7)}}, deadline_in(5s)));
  EXPECT_EQ(cluster_.requests(ApiKey::kOffsetCommit), 2);
}

TEST_P(Groups, WithoutACoordinatorTheDeadlineHolds) {
  cluster_.inject({.api = ApiKey::kFindCoordinator, .times = 1'000'000, .code = ErrorCode::kCoordinatorNotAvailable});
  const auto info = describe_group(*client_, "g", deadline_in(300ms));
  ASSERT_EQ(code_of(info), Errc::kUnavailable);
  EXPECT_EQ(info.error().message, "coordinator of group g: COORDINATOR_NOT_AVAILABLE");
}

}  // namespace
}  // namespace tributary
