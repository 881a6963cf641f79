// The native group consumer against the broker program, in one group with kcat (librdkafka).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "cluster/client/group_consumer.h"
#include "cluster/client/groups.h"
#include "common/env/random.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kDeadline = 60s;
constexpr char kTopic[] = "shared";

class SharedGroup : public testing::TestWithParam<Endpoint::Kind> {
 protected:
  void SetUp() override {
    broker_.extra_args = {"--group-initial-rebalance-delay=100ms"};
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    const auto created = tributary(broker_, {"topic", "create", kTopic, "--partitions", "4"});
    ASSERT_EQ(created.exit_code, 0) << created.errors;
    const auto url = GetParam() == Endpoint::Kind::kNng ? broker_.nng_url() : fmt::format("kafka://{}", address());
    client_ = ClusterClient::connect({.bootstrap = {url}}, deadline_in(10s)).value();
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", broker_.kafka_port()); }

  GroupConsumerOptions native_options() {
    GroupConsumerOptions options;
    options.group = "g";
    options.topics = {kTopic};
    options.start = OnOutOfRange::kEarliest;
    options.heartbeat_interval = 200ms;
    options.commit_interval = 100ms;
    options.fetch.fetch_wait = 50ms;
    return options;
  }
  std::unique_ptr<GroupConsumer> start_native() { return GroupConsumer::create(*client_, native_options()).value(); }
  std::unique_ptr<GroupConsumer> start_cooperative() {
    auto options = native_options();
    options.assignors = {"cooperative-sticky"};
    options.on_assigned = [this](const auto& partitions) { came_ += partitions.size(); };
    options.on_revoked = [this](const auto& partitions) { went_ += partitions.size(); };
    return GroupConsumer::create(*client_, options).value();
  }
  std::unique_ptr<GroupConsumer> start_static(const std::string& instance_id) {
    auto options = native_options();
    options.instance_id = instance_id;
    return GroupConsumer::create(*client_, options).value();
  }
  Process start_kcat(const std::string& assignor = "range,roundrobin") {
    return Process({.command = {"kcat", "-b", address(), "-G", "g", "-u", "-q", "-X", "auto.offset.reset=earliest", "-X",
                                "heartbeat.interval.ms=200", "-X", "fetch.wait.max.ms=50", "-X",
                                "partition.assignment.strategy=" + assignor, kTopic},
                    .output_path = folder_ / "kcat", .error_path = folder_ / "kcat-errors"});
  }
  std::set<std::string> read_by_kcat() {
    std::set<std::string> lines;
    std::istringstream text(read_whole_file(folder_ / "kcat"));
    for (std::string line; std::getline(text, line);) lines.insert(line);
    return lines;
  }
  /// `count` more records, spread over the partitions.
  void produce(int count) {
    for (int p = 0; p < 4; ++p) {
      std::string lines;
      for (int i = p; i < count; i += 4) {
        const auto line = std::to_string(produced_ + i);
        lines += line + "\n";
        all_.insert(line);
      }
      std::ofstream(folder_ / "input") << lines;
      const auto done = run({"kcat", "-b", address(), "-P", "-t", kTopic, "-p", std::to_string(p), "-l", folder_ / "input"});
      ASSERT_EQ(done.exit_code, 0) << done.errors;
    }
    produced_ += count;
  }
  /// Polls until the condition holds.
  bool poll_until(GroupConsumer& consumer, const std::function<bool()>& condition) {
    return eventually(kDeadline, [&] {
      const auto batches = consumer.poll(20ms);
      EXPECT_TRUE(batches) << batches.error().message;
      if (!batches) return true;
      for (const auto& batch : *batches)
        EXPECT_TRUE(for_each_record(batch, decompressor_, 1u << 20, [&](const RecordView& record) {
          read_.insert(std::string(as_string_view(*record.value)));
          return true;
        }));
      return condition();
    });
  }
  bool all_are_read() {
    auto both = read_by_kcat();
    both.insert(read_.begin(), read_.end());
    return both == all_;
  }
  /// Three members, each of which joins and leaves all the time.
  void members_come_and_go(const std::vector<std::vector<std::string>>& assignors);
  std::int64_t lag() {
    std::int64_t committed = 0;
    const auto positions = committed_offsets(*client_, "g", deadline_in(10s)).value();
    for (const auto& position : positions) committed += position.offset.value();
    return produced_ - committed;
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::unique_ptr<ClusterClient> client_;
  Decompressor decompressor_;
  std::set<std::string> all_, read_;
  int produced_ = 0;
  std::size_t came_ = 0, went_ = 0;  // partitions, at the cooperative member
};
INSTANTIATE_TEST_SUITE_P(Transports, SharedGroup, testing::Values(Endpoint::Kind::kNng, Endpoint::Kind::kKafkaTcp),
                         [](const auto& kind) { return kind.param == Endpoint::Kind::kNng ? "Nng" : "KafkaTcp"; });

TEST_P(SharedGroup, KcatJoinsANativeLeaderAndLeavesItAgain) {
  produce(200);
  const auto consumer = start_native();
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
  EXPECT_EQ(consumer->assignment().size(), 4u);
  auto kcat = start_kcat();
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 2; }));
  produce(200);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); })) << read_whole_file(folder_ / "kcat-errors");
  EXPECT_EQ(read_by_kcat().size(), 100u) << "what was committed before it came is not read again";
  const auto group = describe_group(*client_, "g", deadline_in(10s)).value();
  EXPECT_EQ(group.assignor, "range");
  ASSERT_EQ(group.members.size(), 2u);
  for (const auto& member : group.members) EXPECT_EQ(member.assigned.size(), 2u) << member.client_id;

  kcat.signal(SIGTERM);
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 4; }));
  produce(100);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
  ASSERT_TRUE(poll_until(*consumer, [&] { return lag() == 0; }));
  consumer->close(10s);
  EXPECT_TRUE(describe_group(*client_, "g", deadline_in(10s))->members.empty());
}

TEST_P(SharedGroup, ANativeMemberFollowsKcatAsTheLeaderAndTakesOver) {
  produce(200);
  auto kcat = start_kcat();
  ASSERT_TRUE(eventually(kDeadline, [&] { return read_by_kcat().size() == 200; })) << read_whole_file(folder_ / "kcat-errors");
  const auto consumer = start_native();
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 2; }));
  produce(200);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
  kcat.signal(SIGTERM);
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 4; }));
  produce(100);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
}

TEST_P(SharedGroup, ANativeLeaderGivesKcatTwoOfFourPartitionsCooperativelyAndReadsTheOthersOn) {
  produce(200);
  const auto consumer = start_cooperative();
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
  auto kcat = start_kcat("cooperative-sticky");
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 2; }));
  EXPECT_EQ(came_, 4u);
  EXPECT_EQ(went_, 2u) << "the other two were never away";
  produce(200);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); })) << read_whole_file(folder_ / "kcat-errors");
  EXPECT_EQ(read_by_kcat().size(), 100u) << "what was committed before it came is not read again";
  const auto group = describe_group(*client_, "g", deadline_in(10s)).value();
  EXPECT_EQ(group.assignor, "cooperative-sticky");
  ASSERT_EQ(group.members.size(), 2u);
  for (const auto& member : group.members) EXPECT_EQ(member.assigned.size(), 2u) << member.client_id;

  kcat.signal(SIGTERM);
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 4; }));
  EXPECT_EQ(came_, 6u);
  EXPECT_EQ(went_, 2u);
  produce(100);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read() && lag() == 0; }));
}

TEST_P(SharedGroup, ANativeMemberFollowsKcatAsTheCooperativeLeaderAndTakesOver) {
  produce(200);
  auto kcat = start_kcat("cooperative-sticky");
  ASSERT_TRUE(eventually(kDeadline, [&] { return read_by_kcat().size() == 200; })) << read_whole_file(folder_ / "kcat-errors");
  const auto consumer = start_cooperative();
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 2; }));
  produce(200);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read(); }));
  kcat.signal(SIGTERM);
  ASSERT_TRUE(poll_until(*consumer, [&] { return consumer->assignment().size() == 4; }));
  EXPECT_EQ(went_, 0u);
  produce(100);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read() && lag() == 0; }));
}

/// The rebalance cannot end while the second member, which has joined, is not there to give up anything: what the first
/// keeps is read meanwhile.
TEST_P(SharedGroup, WhatDoesNotMoveIsReadWhileOthersOweTheGroupAnAnswer) {
  const auto first = start_cooperative();
  ASSERT_TRUE(poll_until(*first, [&] { return first->assignment().size() == 4; }));
  auto slow_options = native_options();
  slow_options.assignors = {"range", "cooperative-sticky"};  // eager: the group waits until it has given up its partitions
  const auto slow = GroupConsumer::create(*client_, slow_options).value();
  ASSERT_TRUE(poll_until(*first, [&] {
    EXPECT_TRUE(slow->poll(20ms));
    return first->assignment().size() == 2 && slow->assignment().size() == 2;
  }));
  const auto kept = first->assignment();
  const auto third = start_cooperative();
  ASSERT_TRUE(poll_until(*first, [&] {
    EXPECT_TRUE(third->poll(20ms));
    const auto group = describe_group(*client_, "g", deadline_in(10s)).value();
    return group.summary.state == "PreparingRebalance" && group.members.size() == 3;
  }));
  const auto before = read_.size();
  produce(100);
  ASSERT_TRUE(poll_until(*first, [&] { return read_.size() == before + 50; }));
  EXPECT_EQ(first->assignment(), kept);
  EXPECT_FALSE(third->joined());
}

TEST_P(SharedGroup, AStaticMemberThatComesBackReadsOnWithoutARebalance) {
  produce(100);
  auto first = start_static("place-1");
  const auto second = start_static("place-2");
  ASSERT_TRUE(poll_until(*first, [&] {
    EXPECT_TRUE(second->poll(20ms));
    return first->assignment().size() == 2 && second->assignment().size() == 2;
  }));
  const auto generation = second->generation();
  const auto partitions = first->assignment();
  for (int round = 0; round < 3; ++round) {
    first->close(10s);
    EXPECT_EQ(describe_group(*client_, "g", deadline_in(10s))->members.size(), 2u);
    first = start_static("place-1");
    ASSERT_TRUE(poll_until(*first, [&] { return first->joined(); }));
    EXPECT_EQ(first->assignment(), partitions);
    EXPECT_EQ(first->generation(), generation);
  }
  EXPECT_TRUE(second->poll(20ms));
  EXPECT_EQ(second->generation(), generation);
}

TEST_P(SharedGroup, WhoComesWithTheSameInstanceIdShutsOutWhoWasThere) {
  const auto first = start_static("place");
  ASSERT_TRUE(poll_until(*first, [&] { return first->assignment().size() == 4; }));
  const auto second = start_static("place");
  ASSERT_TRUE(poll_until(*second, [&] { return second->assignment().size() == 4; }));
  Result<std::vector<ConsumedBatch>> polled;
  ASSERT_TRUE(eventually(kDeadline, [&] { return !(polled = first->poll(20ms)); }));
  EXPECT_EQ(polled.error().code, Errc::kFenced) << polled.error().message;
  EXPECT_THAT(polled.error().message, testing::HasSubstr("the same instance id"));
  EXPECT_TRUE(first->assignment().empty());
  EXPECT_EQ(first->poll(20ms).error().code, Errc::kFenced);
  produce(100);
  ASSERT_TRUE(poll_until(*second, [&] { return all_are_read(); }));
}

TEST_P(SharedGroup, AKilledBrokerIsComeBackToAndNothingIsMissed) {
  produce(100);
  const auto consumer = start_native();
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read() && lag() == 0; }));
  broker_.kill();
  ASSERT_TRUE(poll_until(*consumer, [count = 0]() mutable { return ++count == 3; }));
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  produce(100);
  ASSERT_TRUE(poll_until(*consumer, [&] { return all_are_read() && lag() == 0; }));
}

TEST_P(SharedGroup, AKilledConsumeHasCommittedNothingThatItDidNotPrint) {
  for (int round = 0; round < 3; ++round) {
    const auto group = fmt::format("killed-{}", round), output = folder_ / group;
    Process consumer({.command = {program_path("tributary"), "--cluster", broker_.nng_url(), "consume", "--group", group, kTopic,
                                  "--follow", "--format", "raw", "--commit-interval", "10ms"}, .output_path = output});
    const auto printed = [&] {
      const auto text = read_whole_file(output);
      return static_cast<std::int64_t>(std::ranges::count(text, '\n'));
    };
    const auto committed = [&] {
      std::int64_t sum = 0;
      const auto positions = committed_offsets(*client_, group, deadline_in(10s)).value();
      for (const auto& position : positions) sum += position.offset.value();
      return sum;
    };
    for (int i = 0; i < 5; ++i) produce(400);
    ASSERT_TRUE(eventually(kDeadline, [&] { return committed() > 0; }));
    consumer.kill();
    EXPECT_LE(committed(), printed());
  }
}

void SharedGroup::members_come_and_go(const std::vector<std::vector<std::string>>& assignors) {
  const auto seed = seed_of_test();
  std::mutex mutex;
  std::set<std::string> read;  // under mutex, as all below
  int memberships = 0;
  std::atomic<bool> stop = false;
  const auto member = [&](std::uint64_t number) {
    auto options = native_options();
    options.assignors = assignors[number % assignors.size()];
    SeededRandom random(seed + number);
    Decompressor decompressor;
    while (!stop) {
      const auto consumer = GroupConsumer::create(*client_, options).value();
      const auto until = deadline_in(std::chrono::milliseconds(200 + random.below(1500)));
      while (!stop && (system_clock().mono_now() < until || !consumer->joined())) {
        const auto batches = consumer->poll(20ms);
        EXPECT_TRUE(batches) << batches.error().message;
        if (!batches) return;
        const std::lock_guard lock(mutex);
        for (const auto& batch : *batches)
          EXPECT_TRUE(for_each_record(batch, decompressor, 1u << 20, [&](const RecordView& record) {
            read.insert(std::string(as_string_view(*record.value)));
            return true;
          }));
      }
      // A commit that a rebalance overtakes is refused, and what it was for is read again.
      if (random.below(2) == 0) (void)consumer->commit(5s);
      const std::lock_guard lock(mutex);
      ++memberships;
    }
  };
  std::vector<std::thread> members;
  for (std::uint64_t number = 0; number < 3; ++number) members.emplace_back(member, number);
  for (int round = 0; round < 20; ++round) produce(100);
  EXPECT_TRUE(eventually(kDeadline, [&] {
    const std::lock_guard lock(mutex);
    return read == all_ && memberships >= 12;
  }));
  stop = true;
  for (auto& thread : members) thread.join();
  EXPECT_EQ(read.size(), all_.size());
}

TEST_P(SharedGroup, MembersThatComeAndGoMissNothing) { members_come_and_go({{"range"}}); }
TEST_P(SharedGroup, CooperativeMembersThatComeAndGoMissNothing) { members_come_and_go({{"cooperative-sticky"}}); }
TEST_P(SharedGroup, EagerAndCooperativeMembersThatComeAndGoMissNothing) {
  members_come_and_go({{"range", "cooperative-sticky"}, {"cooperative-sticky"}});
}

}  // namespace
}  // namespace tributary::test
