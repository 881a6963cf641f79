// Committed offsets when their topic goes, and when what is stored of them is damaged.

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "cluster/groups/partition_of.h"
#include "cluster/server/internal_topics.h"
#include "common/env/random.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_fetch.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

constexpr std::int32_t kOffsetsPartitions = 8;

class GroupOffsetsTest : public BrokerTest {
 protected:
  GroupOffsetsTest() { options_.offsets_topic_partitions = kOffsetsPartitions; }

  void start_with_topic() {
    start();
    ASSERT_EQ(create_topic("t"), ErrorCode::kNone);
    FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    ASSERT_EQ(ask(find)->coordinators.at(0).error_code, ErrorCode::kNone);
  }

  static OffsetCommitRequest commit_request(const std::string& group, std::int64_t offset) {
    OffsetCommitRequest commit;
    commit.group_id = group;
    auto& partition = commit.topics.emplace_back(OffsetCommitRequest::Topic{"t", {}}).partitions.emplace_back();
    partition.committed_offset = Offset(offset);
    return commit;
  }
  ErrorCode commit(const std::string& group, std::int64_t offset) {
    return ask(commit_request(group, offset))->topics.at(0).partitions.at(0).error_code;
  }
  struct Fetched {
    ErrorCode error = ErrorCode::kNone;
    std::int64_t offset = -1;
  };
  Fetched fetched(const std::string& group) {
    OffsetFetchRequest fetch;
    fetch.groups = {{group, {{{"t", {PartitionIndex(0)}}}}}};
    const auto answer = ask(fetch);
    const auto& found = answer->groups.at(0);
    if (found.error_code != ErrorCode::kNone) return {found.error_code, -1};
    return {found.topics.at(0).partitions.at(0).error_code, found.topics.at(0).partitions.at(0).committed_offset.value()};
  }
};

// The commits cross from the connections' shards to the groups' while the deletion comes to one shard after the other.
TEST_F(GroupOffsetsTest, CommitsThatRaceWithTheirTopicsDeletionLeaveNothingForTheNextOfThatName) {
  options_.shards = 4;
  start_with_topic();
  std::vector<std::unique_ptr<RequestChannel>> channels;
  for (int i = 0; i < 6; ++i) channels.push_back(connect());
  for (int round = 0; round < 40; ++round) {
    if (round > 0) {
      ASSERT_EQ(create_topic("t"), ErrorCode::kNone);
    }
    std::atomic<bool> deleted = false;
    std::vector<std::thread> committers;
    for (std::size_t i = 0; i < channels.size(); ++i)
      committers.emplace_back([&, i] {
        const auto group = fmt::format("g{}", i);
        std::deque<std::future<Answer<OffsetCommitResponse>>> under_way;
        while (!deleted || !under_way.empty()) {
          if (!deleted) under_way.push_back(send(*channels[i], commit_request(group, 7), 8));
          if (!deleted && under_way.size() < 20) continue;
          EXPECT_TRUE(under_way.front().get());
          under_way.pop_front();
        }
      });
    EXPECT_TRUE(eventually(kDeadline, [&] { return fetched("g0").offset == 7; }));
    EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
    deleted = true;
    for (auto& committer : committers) committer.join();
    for (std::size_t i = 0; i < channels.size(); ++i)
      ASSERT_EQ(fetched(fmt::format("g{}", i)).offset, -1) << "round " << round;
  }
}

TEST_F(GroupOffsetsTest, AFlippedByteCostsAtMostTheCommitOrThePartitionThatItIsIn) {
  constexpr std::int64_t kCommits = 10;
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  options_.shards = 2;
  start_with_topic();
  std::string other = "other";
  while (offsets_partition_of(other, kOffsetsPartitions) == offsets_partition_of("g", kOffsetsPartitions)) other += "x";
  ASSERT_EQ(commit(other, 77), ErrorCode::kNone);
  for (std::int64_t offset = 1; offset <= kCommits; ++offset) ASSERT_EQ(commit("g", offset), ErrorCode::kNone);
  stop();
  namespace fs = std::filesystem;
  const auto sound = folder_ / "sound";
  fs::copy(options_.data, sound, fs::copy_options::recursive);
  const auto log = fmt::format("{}/{}-{}/{:020}.log", options_.data, kOffsetsTopic,
                               offsets_partition_of("g", kOffsetsPartitions), 0);
  const auto size = fs::file_size(log);
  int unserved = 0, lost = 0;
  for (int round = 0; round < 60; ++round) {
    fs::remove_all(options_.data);
    fs::copy(sound, options_.data, fs::copy_options::recursive);
    const auto position = static_cast<std::streamoff>(random.below(size));
    {
      std::fstream file(log, std::ios::binary | std::ios::in | std::ios::out);
      const auto byte = static_cast<char>(file.seekg(position).get() ^ (1 << random.below(8)));
      file.seekp(position).put(byte);
    }
    start();
    ASSERT_TRUE(eventually(kDeadline, [&] { return fetched(other).error == ErrorCode::kNone; }));
    EXPECT_EQ(fetched(other).offset, 77);
    EXPECT_EQ(commit(other, 77), ErrorCode::kNone);
    Fetched found;
    const bool served = eventually(200ms, [&] { return (found = fetched("g")).error == ErrorCode::kNone; });
    if (served) {
      EXPECT_GE(found.offset, kCommits - 1) << "position " << position;
      EXPECT_LE(found.offset, kCommits) << "position " << position;
      lost += found.offset < kCommits ? 1 : 0;
    } else {
      EXPECT_TRUE(found.error == ErrorCode::kCoordinatorLoadInProgress || found.error == ErrorCode::kNotCoordinator)
          << name_of(found.error);
      ++unserved;
    }
    crash();
  }
  std::printf("60 flips in %ju bytes: %d times not served, %d times the last commit lost\n",
              static_cast<std::uintmax_t>(size), unserved, lost);
}

}  // namespace
}  // namespace tributary::test
