// Five hundred members of one group, each on a connection of its own, that all come, and all come back, at once.

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/sync_group.h"
#include "tests/compat/raw_connection.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

constexpr int kStormMembers = 500, kVictims = 50;
constexpr auto kStormDeadline = 30s;
constexpr std::int16_t kJoinVersion = 5, kSyncVersion = 3, kHeartbeatVersion = 3;

struct StormMember {
  explicit StormMember(std::uint16_t port) : connection(port) {}
  RawConnection connection;
  std::string id;
  Bytes answer;  // what the response points into
};

class GroupStorm : public testing::Test {
 protected:
  void SetUp() override {
    broker_.extra_args = {"--group-initial-rebalance-delay", "500ms"};
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    RawConnection connection(broker_.kafka_port());
    FindCoordinatorRequest find;
    find.key = "storm";
    ASSERT_TRUE(eventually(10s, [&] {
      const auto found = connection.ask(2, find);
      return found && found->error_code == ErrorCode::kNone;
    }));
  }

  template <RequestMessage Request>
  static void send(StormMember& member, const Request& request, std::int16_t version) {
    const auto frame = encode_request(version, 1, "storm", request);
    ASSERT_TRUE(frame);
    ASSERT_TRUE(member.connection.send_frame(frame->flatten().value()));
  }
  template <class Response>
  static Response receive(StormMember& member, std::int16_t version) {
    auto answer = member.connection.read_frame(kStormDeadline);
    EXPECT_TRUE(answer) << member.id;
    if (!answer) return {};
    member.answer = *std::move(answer);
    auto response = decode_response<Response>(member.answer, version);
    EXPECT_TRUE(response);
    return response ? *std::move(response) : Response{};
  }

  JoinGroupRequest join_of(const StormMember& member) const {
    JoinGroupRequest join;
    join.group_id = "storm";
    join.session_timeout_ms = 10'000;
    join.rebalance_timeout_ms = 10'000;
    join.member_id = member.id;
    join.protocol_type = "consumer";
    join.protocols = {{"range", as_bytes(metadata_)}};  // others than before: a rebalance begins
    return join;
  }

  /// All join and sync at once; the generation that they come to share.
  GenerationId rebalance() {
    for (auto& member : members_) send(member, join_of(member), kJoinVersion);
    std::set<GenerationId> generations;
    StormMember* leader = nullptr;
    std::size_t known_to_leader = 0;
    for (auto& member : members_) {
      const auto joined = receive<JoinGroupResponse>(member, kJoinVersion);
      EXPECT_EQ(joined.error_code, ErrorCode::kNone) << member.id;
      generations.insert(joined.generation_id);
      if (joined.leader != member.id) continue;
      EXPECT_EQ(leader, nullptr) << "two leaders";
      leader = &member;
      known_to_leader = joined.members.size();
    }
    EXPECT_EQ(generations.size(), 1u);
    EXPECT_NE(leader, nullptr);
    EXPECT_EQ(known_to_leader, members_.size());
    for (auto& member : members_) {
      SyncGroupRequest sync;
      sync.group_id = "storm";
      sync.generation_id = *generations.begin();
      sync.member_id = member.id;
      if (&member == leader)
        for (const auto& one : members_) sync.assignments.push_back({one.id, as_bytes(one.id)});
      send(member, sync, kSyncVersion);
    }
    for (auto& member : members_) {
      const auto synced = receive<SyncGroupResponse>(member, kSyncVersion);
      EXPECT_EQ(synced.error_code, ErrorCode::kNone) << member.id;
      EXPECT_EQ(as_string_view(synced.assignment), member.id);
    }
    return *generations.begin();
  }

  ErrorCode heartbeat(StormMember& member, GenerationId generation) {
    HeartbeatRequest beat;
    beat.group_id = "storm";
    beat.generation_id = generation;
    beat.member_id = member.id;
    send(member, beat, kHeartbeatVersion);
    return receive<HeartbeatResponse>(member, kHeartbeatVersion).error_code;
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::vector<StormMember> members_;
  std::string metadata_ = "at first";
};

TEST_F(GroupStorm, FiveHundredMembersRebalanceOverTheWireAndNobodyElseWaitsForThem) {
  const auto resident_before = resident_bytes(broker_.process().pid());
  members_.reserve(kStormMembers);
  for (int i = 0; i < kStormMembers; ++i) members_.emplace_back(broker_.kafka_port());
  for (auto& member : members_) send(member, join_of(member), kJoinVersion);
  for (auto& member : members_) {
    const auto told = receive<JoinGroupResponse>(member, kJoinVersion);
    ASSERT_EQ(told.error_code, ErrorCode::kMemberIdRequired);
    member.id = told.member_id;
  }
  const auto first = rebalance();
  for (auto& member : members_) EXPECT_EQ(heartbeat(member, first), ErrorCode::kNone);

  // Fifty die without a word, while all others come back: the dead are seen to be so when they are waited for.
  for (int i = 0; i < kVictims; ++i) members_.pop_back();
  const auto start = std::chrono::steady_clock::now();
  metadata_ = "again";
  std::optional<GenerationId> second;
  std::thread others([&] { second = rebalance(); });
  RawConnection bystander(broker_.kafka_port());
  auto slowest = 0ms;
  for (int i = 0; i < 50; ++i) {
    const auto asked = std::chrono::steady_clock::now();
    EXPECT_TRUE(bystander.ask(9, MetadataRequest{}));
    slowest = std::max(slowest, std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - asked));
  }
  others.join();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  EXPECT_EQ(*second, GenerationId(first.value() + 1));
  EXPECT_LE(took, 11s);
  EXPECT_LE(slowest, 1s);
  for (auto& member : members_) EXPECT_EQ(heartbeat(member, *second), ErrorCode::kNone);
  const auto grown = (resident_bytes(broker_.process().pid()) - std::min(resident_before, resident_bytes(broker_.process().pid()))) >> 20;
  EXPECT_LE(grown, 64u) << "MiB";
  std::printf("%d members, then %zu: the second rebalance took %ld ms; the slowest answer to a bystander %ld ms; %zu MiB more\n",
              kStormMembers, members_.size(), static_cast<long>(took.count()), static_cast<long>(slowest.count()), grown);
}

}  // namespace
}  // namespace tributary::test
