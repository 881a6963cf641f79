#include "cluster/client/group_consumer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/client/assignors.h"
#include "cluster/client/consumer_protocol.h"
#include "cluster/client/groups.h"
#include "common/record/batch_builder.h"
#include "tests/support/eventually.h"
#include "tests/unit/client/partitions.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;
using test::eventually;

class GroupConsumerTest : public testing::TestWithParam<Endpoint::Kind> {
 protected:
  void SetUp() override {
    cluster_.add_topic("t", 2);
    client_ = ClusterClient::connect({.bootstrap = {cluster_.url()}, .request_timeout = 2s}, deadline_in(5s)).value();
  }
  GroupConsumerOptions options() {
    GroupConsumerOptions options;
    options.group = "g";
    options.topics = {"t"};
    options.start = OnOutOfRange::kEarliest;
    options.heartbeat_interval = 20ms;
    options.commit_interval = Duration::zero();
    options.fetch.fetch_wait = 20ms;
    options.fetch.on_trouble = [this](const Error& error) { troubles_.push_back(error.message); };
    options.on_assigned = [this](const auto& partitions) { events_.push_back(fmt::format("+{}", fmt::join(partitions, "+"))); };
    options.on_revoked = [this](const auto& partitions) { events_.push_back(fmt::format("-{}", fmt::join(partitions, "-"))); };
    return options;
  }
  std::unique_ptr<GroupConsumer> start(GroupConsumerOptions options) {
    auto consumer = GroupConsumer::create(*client_, std::move(options));
    EXPECT_TRUE(consumer) << consumer.error().message;
    return *std::move(consumer);
  }
  void append(const TopicPartition& partition, const std::string& value) {
    BatchBuilder builder;
    builder.append(1000, std::nullopt, as_bytes(value));
    cluster_.append(partition, builder.finish({}).value());
  }
  /// Polls until `count` values have come or ten seconds have passed.
  std::vector<std::string> read(GroupConsumer& consumer, std::size_t count) {
    std::vector<std::string> values;
    Decompressor decompressor;
    const auto deadline = deadline_in(10s);
    while (values.size() < count && system_clock().mono_now() < deadline) {
      const auto batches = consumer.poll(50ms);
      EXPECT_TRUE(batches) << batches.error().message;
      if (!batches) break;
      for (const auto& batch : *batches)
        EXPECT_TRUE(for_each_record(batch, decompressor, 1u << 20, [&](const RecordView& record) {
          values.emplace_back(as_string_view(*record.value));
          return true;
        }));
    }
    std::ranges::sort(values);
    return values;
  }
  bool poll_until(GroupConsumer& consumer, const std::function<bool()>& condition) {
    return eventually(10s, [&] {
      const auto batches = consumer.poll(10ms);
      EXPECT_TRUE(batches) << batches.error().message;
      return condition();
    });
  }
  std::int64_t committed(const TopicPartition& partition) {
    const auto group = cluster_.group("g");
    return group.offsets.contains(partition) ? group.offsets.at(partition).value() : -1;
  }

  ScriptedCluster cluster_{GetParam(), 2};
  std::unique_ptr<ClusterClient> client_;
  std::vector<std::string> troubles_, events_;
};
INSTANTIATE_TEST_SUITE_P(Transports, GroupConsumerTest, testing::Values(Endpoint::Kind::kNng, Endpoint::Kind::kKafkaTcp),
                         [](const auto& kind) { return kind.param == Endpoint::Kind::kNng ? "Nng" : "KafkaTcp"; });

TEST_P(GroupConsumerTest, JoinsReadsCommitsLeavesAndGoesOnWhereItWas) {
  append(kFirst, "a");
  append(kSecond, "b");
  {
    const auto consumer = start(options());
    EXPECT_EQ(read(*consumer, 2), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(consumer->assignment(), (std::vector{kFirst, kSecond}));
    EXPECT_EQ(cluster_.group("g").members.size(), 1u);
    const auto done = consumer->commit(5s);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(committed(kFirst), 1);
    consumer->close(5s);
    EXPECT_TRUE(cluster_.group("g").members.empty());
  }
  append(kFirst, "c");
  const auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"c"});
  EXPECT_EQ(events_, (std::vector<std::string>{"+t-0+t-1", "-t-0-t-1", "+t-0+t-1"}));
}

TEST_P(GroupConsumerTest, NothingIsCommittedBeforeTheCallerAsksForMore) {
  append(kFirst, "a");
  auto with_interval = options();
  with_interval.commit_interval = 1ms;
  const auto consumer = start(with_interval);
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  const auto beats = cluster_.requests(ApiKey::kHeartbeat);
  EXPECT_TRUE(eventually(10s, [&] { return cluster_.requests(ApiKey::kHeartbeat) > beats + 2; }));
  EXPECT_LT(committed(kFirst), 1);
  EXPECT_TRUE(poll_until(*consumer, [&] { return committed(kFirst) == 1; }));
}

TEST_P(GroupConsumerTest, WhatPollGaveLastIsNotCommittedByClose) {
  append(kFirst, "a");
  auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  consumer->close(5s);
  EXPECT_EQ(committed(kFirst), 0);
  consumer = start(options());
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  EXPECT_TRUE(consumer->poll(10ms));  // now it is asked for more
  consumer->close(5s);
  EXPECT_EQ(committed(kFirst), 1);
}

TEST_P(GroupConsumerTest, OffsetsOfTheCallersChoiceAreCommittedAndStay) {
  for (const auto* value : {"a", "b", "c"}) append(kFirst, value);
  const auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 3).size(), 3u);
  ASSERT_TRUE(consumer->commit({{kFirst, Offset(2)}}, 5s));
  consumer->close(5s);
  EXPECT_EQ(committed(kFirst), 2);
}

TEST_P(GroupConsumerTest, WithoutACommitItStartsWhereItIsTold) {
  append(kFirst, "old");
  auto at_end = options();
  at_end.start = OnOutOfRange::kLatest;
  auto consumer = start(at_end);
  EXPECT_TRUE(poll_until(*consumer, [&] { return !consumer->assignment().empty(); }));
  append(kFirst, "new");
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"new"});
  consumer.reset();
  cluster_.set_group("g", {});
  auto strict = options();
  strict.start = OnOutOfRange::kFail;
  consumer = start(strict);
  Result<std::vector<ConsumedBatch>> polled;
  EXPECT_TRUE(eventually(10s, [&] { return !(polled = consumer->poll(10ms)); }));
  EXPECT_EQ(polled.error().code, Errc::kOutOfRange);
  EXPECT_EQ(polled.error().message, "group g has committed no offset of t-0");
}

TEST_P(GroupConsumerTest, ARebalanceCommitsGivesUpAndJoinsAgain) {
  append(kFirst, "a");
  const auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  cluster_.inject({.api = ApiKey::kHeartbeat, .code = ErrorCode::kRebalanceInProgress});
  EXPECT_TRUE(poll_until(*consumer, [&] { return events_.size() == 3; }));
  EXPECT_EQ(events_, (std::vector<std::string>{"+t-0+t-1", "-t-0-t-1", "+t-0+t-1"}));
  EXPECT_EQ(committed(kFirst), 1);
  append(kFirst, "b");
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"b"});
  EXPECT_EQ(cluster_.group("g").generation, 2);
}

TEST_P(GroupConsumerTest, ACooperativeRebalanceTakesNothingThatStays) {
  append(kFirst, "a");
  auto cooperative = options();
  cooperative.assignors = {"cooperative-sticky"};
  const auto consumer = start(cooperative);
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  cluster_.inject({.api = ApiKey::kHeartbeat, .code = ErrorCode::kRebalanceInProgress});
  EXPECT_TRUE(poll_until(*consumer, [&] { return consumer->generation() == GenerationId(2); }));
  EXPECT_EQ(events_, std::vector<std::string>{"+t-0+t-1"});
  const auto told = decode_subscription(cluster_.group("g").members.begin()->second.metadata).value();
  EXPECT_EQ(told.owned, (std::vector{kFirst, kSecond}));
  EXPECT_EQ(told.generation, GenerationId(1));
  ASSERT_TRUE(consumer->commit(5s));
  EXPECT_EQ(committed(kFirst), 1);
}

TEST_P(GroupConsumerTest, ACooperativeMemberCommitsAndGivesUpWhatIsTakenAway) {
  append(kFirst, "a");
  append(kSecond, "b");
  auto cooperative = options();
  cooperative.assignors = {"cooperative-sticky"};
  const auto consumer = start(cooperative);
  EXPECT_EQ(read(*consumer, 2).size(), 2u);
  auto group = cluster_.group("g");
  group.members["a silent member"].metadata = encode(Subscription{{"t"}, {}, {}}, kCooperativeSticky);
  cluster_.set_group("g", group);
  cluster_.inject({.api = ApiKey::kHeartbeat, .code = ErrorCode::kRebalanceInProgress});
  EXPECT_TRUE(poll_until(*consumer, [&] { return consumer->generation() == GenerationId(3); }));
  EXPECT_EQ(events_, (std::vector<std::string>{"+t-0+t-1", "-t-1"}));
  EXPECT_EQ(committed(kSecond), 1);
  EXPECT_EQ(committed(kFirst), -1) << "it is kept, and there is no interval";
  EXPECT_EQ(decode_assignment(cluster_.group("g").members.at("a silent member").assignment).value(), std::vector{kSecond});
  append(kFirst, "c");
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"c"});
}

TEST_P(GroupConsumerTest, ACommitThatACooperativeRebalanceOvertakesIsMadeWhenThatIsOver) {
  append(kFirst, "a");
  auto cooperative = options();
  cooperative.assignors = {"cooperative-sticky"};
  const auto consumer = start(cooperative);
  EXPECT_EQ(read(*consumer, 1).size(), 1u);
  cluster_.inject({.api = ApiKey::kOffsetCommit, .code = ErrorCode::kRebalanceInProgress});
  const auto done = consumer->commit(5s);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(committed(kFirst), 1);
  EXPECT_EQ(cluster_.group("g").generation, 2);
  EXPECT_EQ(events_, std::vector<std::string>{"+t-0+t-1"});
}

TEST_P(GroupConsumerTest, AStaticMemberStaysInTheGroupWhenItCloses) {
  auto with_place = options();
  with_place.instance_id = "place";
  const auto consumer = start(with_place);
  EXPECT_TRUE(poll_until(*consumer, [&] { return !consumer->assignment().empty(); }));
  consumer->close(5s);
  EXPECT_EQ(cluster_.group("g").members.size(), 1u);
  EXPECT_EQ(cluster_.requests(ApiKey::kLeaveGroup), 0);
}

TEST_P(GroupConsumerTest, WhosePlaceAnotherTookIsFencedForGood) {
  auto with_place = options();
  with_place.instance_id = "place";
  const auto consumer = start(with_place);
  EXPECT_TRUE(poll_until(*consumer, [&] { return !consumer->assignment().empty(); }));
  cluster_.inject({.api = ApiKey::kHeartbeat, .code = ErrorCode::kFencedInstanceId});
  Result<std::vector<ConsumedBatch>> polled;
  EXPECT_TRUE(eventually(10s, [&] { return !(polled = consumer->poll(10ms)); }));
  EXPECT_EQ(polled.error().code, Errc::kFenced);
  EXPECT_EQ(events_, (std::vector<std::string>{"+t-0+t-1", "-t-0-t-1"}));
  EXPECT_EQ(consumer->poll(10ms).error().code, Errc::kFenced);
}

TEST_P(GroupConsumerTest, TheLeaderGivesOthersTheirShare) {
  ScriptedGroup group;
  group.members["a silent member"].metadata = encode(Subscription{{"t"}, {}, {}}, kRange);
  cluster_.set_group("g", group);
  const auto consumer = start(options());
  EXPECT_TRUE(poll_until(*consumer, [&] { return !consumer->assignment().empty(); }));
  EXPECT_EQ(consumer->assignment(), std::vector{kSecond});
  EXPECT_EQ(decode_assignment(cluster_.group("g").members.at("a silent member").assignment).value(), std::vector{kFirst});
}

TEST_P(GroupConsumerTest, AMemberThatWasForgottenReadsAgainFromWhatItHasCommitted) {
  append(kFirst, "a");
  append(kFirst, "b");
  const auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 2).size(), 2u);
  ASSERT_TRUE(consumer->commit({{kFirst, Offset(1)}}, 5s));
  auto group = cluster_.group("g");
  group.members.clear();
  cluster_.set_group("g", group);
  const auto late = consumer->commit(5s);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kFenced);
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"b"});
  EXPECT_EQ(cluster_.group("g").members.size(), 1u);
}

TEST_P(GroupConsumerTest, ACoordinatorThatMovesOrLoadsIsFollowed) {
  append(kFirst, "a");
  for (const auto api : {ApiKey::kFindCoordinator, ApiKey::kJoinGroup, ApiKey::kSyncGroup, ApiKey::kOffsetFetch})
    cluster_.inject({.api = api, .times = 2, .code = ErrorCode::kCoordinatorLoadInProgress});
  const auto consumer = start(options());
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"a"});
  cluster_.set_coordinator(1);
  append(kFirst, "b");
  EXPECT_EQ(read(*consumer, 1), std::vector<std::string>{"b"});
  const auto beats = cluster_.requests(ApiKey::kHeartbeat);
  EXPECT_TRUE(poll_until(*consumer, [&] { return cluster_.requests(ApiKey::kHeartbeat) > beats + 3; }));
  const auto done = consumer->commit(5s);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(committed(kFirst), 2);
  EXPECT_EQ(events_.size(), 1u) << "the membership went on";
}

TEST_P(GroupConsumerTest, ATopicThatComesLaterIsRead) {
  auto later = options();
  later.topics = {"t", "later"};
  later.topics_check_interval = 20ms;
  const auto consumer = start(later);
  EXPECT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 2; }));
  cluster_.add_topic("later", 1);
  EXPECT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 3; }));
}

TEST_P(GroupConsumerTest, AConsumerThatStaysAwayGivesItsPartitionsToOthers) {
  auto impatient = options();
  impatient.poll_interval_max = 100ms;
  const auto consumer = start(impatient);
  EXPECT_TRUE(poll_until(*consumer, [&] { return !consumer->assignment().empty(); }));
  EXPECT_TRUE(eventually(10s, [&] { return cluster_.group("g").members.empty(); }));
  EXPECT_TRUE(poll_until(*consumer, [&] { return events_.size() == 3; }));
  EXPECT_EQ(cluster_.group("g").members.size(), 1u);
}

TEST_P(GroupConsumerTest, WhatIsRefusedForGoodIsTheErrorOfEveryPoll) {
  cluster_.inject({.api = ApiKey::kJoinGroup, .code = ErrorCode::kInvalidSessionTimeout});
  const auto consumer = start(options());
  Result<std::vector<ConsumedBatch>> polled;
  EXPECT_TRUE(eventually(10s, [&] { return !(polled = consumer->poll(10ms)); }));
  EXPECT_EQ(polled.error().message, "joining the group: INVALID_SESSION_TIMEOUT: the broker allows no such session timeout");
  EXPECT_FALSE(consumer->poll(10ms));
}

TEST_P(GroupConsumerTest, WithoutACoordinatorForTooLongPollFails) {
  cluster_.inject({.api = ApiKey::kFindCoordinator, .times = 1'000'000, .code = ErrorCode::kCoordinatorNotAvailable});
  auto impatient = options();
  impatient.fetch.unavailable_max = 100ms;
  const auto consumer = start(impatient);
  Result<std::vector<ConsumedBatch>> polled;
  EXPECT_TRUE(eventually(10s, [&] { return !(polled = consumer->poll(10ms)); }));
  EXPECT_EQ(polled.error().code, Errc::kUnavailable);
  EXPECT_FALSE(troubles_.empty());
}

TEST(GroupConsumerOptionsTest, WhatIsMissingIsNamed) {
  ScriptedCluster cluster(Endpoint::Kind::kNng, 1);
  const auto client = ClusterClient::connect({.bootstrap = {cluster.url()}}, deadline_in(5s)).value();
  const auto error_of = [&](GroupConsumerOptions options) { return GroupConsumer::create(*client, std::move(options)).error().message; };
  EXPECT_EQ(error_of({.topics = {"t"}}), "a consumer group needs a name");
  EXPECT_EQ(error_of({.group = "g"}), "group g has no topic to read");
  EXPECT_EQ(error_of({.group = "g", .topics = {"t"}, .assignors = {"sticky"}}),
            "\"sticky\" is no assignor; there are range, roundrobin and cooperative-sticky");
}

}  // namespace
}  // namespace tributary
