// Members that are killed all the time, on machines that live: each rebalance ends with the session of whoever was
// killed before it had joined again.

#include <algorithm>
#include <optional>
#include <vector>

#include "tests/unit/groups/group_fixture.h"
#include "tests/unit/groups/simulated_broker.h"
#include "tests/unit/groups/simulated_member.h"

namespace tributary {
namespace {

constexpr std::size_t kMembers = 8;
constexpr auto kSession = 6s;
constexpr SimulatedMember::Timeouts kTimeouts{.session_ms = kSession / 1ms,
                                              .rebalance_ms = 300'000,
                                              .heartbeat_ms = 300,
                                              .work_off_max = 100ms,
                                              .retry_max = 50ms};

class KillWorld {
 public:
  explicit KillWorld(std::uint64_t seed)
      : random_(seed),
        broker_(options(), random_,
                {[this](auto token, const auto& result) { answered(token, result); }, [](auto) {}}) {
    broker_.calm_down(true);
    members_.reserve(kMembers);
    for (std::size_t i = 0; i < kMembers; ++i) members_.emplace_back(broker_, random_, std::nullopt, kTimeouts).start();
    kill_at_ = broker_.now().mono + 5s;
  }

  /// One is killed in every second, and another one started in its place.
  void run(Duration by) {
    for (const auto end = broker_.now().mono + by; broker_.now().mono < end && !testing::Test::HasFailure();) {
      auto next = std::min({end, broker_.next_event(), kill_at_});
      for (const auto& member : members_) next = std::min(next, member.next_event());
      broker_.advance_to(std::max(next, broker_.now().mono));
      for (auto& member : members_) member.act();
      if (broker_.now().mono >= kill_at_) kill();
      watch();
    }
  }
  [[nodiscard]] std::int64_t longest_ms() const { return longest_ / 1ms; }
  [[nodiscard]] int rebalances() const { return rebalances_; }

 private:
  static GroupOptions options() {
    GroupOptions options;
    options.initial_rebalance_delay_ms = 100;
    return options;
  }
  void kill() {
    auto& victim = members_[random_.below(kMembers)];
    victim.kill(Duration(random_.below(Duration(2ms).count())));
    victim.start();
    kill_at_ += 1s - Duration(random_.below(Duration(100ms).count()));
  }
  void answered(ReplyToken token, const GroupResult& result) {
    // The generation is in use.
    const auto* synced = std::get_if<GroupSyncResult>(&result);
    if (synced != nullptr && synced->error == ErrorCode::kNone) since_.reset();
    for (auto& member : members_)
      if (member.owns(token)) return member.answered(token, result);
  }
  void watch() {
    if (broker_.coordinator().describe("g").state != GroupState::kStable && !since_) {
      since_ = broker_.now().mono;
      ++rebalances_;
    }
    if (since_) longest_ = std::max(longest_, broker_.now().mono - *since_);
  }

  SeededRandom random_;
  SimulatedBroker broker_;
  std::vector<SimulatedMember> members_;
  MonoTime kill_at_{};
  std::optional<MonoTime> since_;  // the group has been without a generation in use
  Duration longest_{};
  int rebalances_ = 0;
};

TEST(GroupKillsTest, EachRebalanceEndsWithTheSessionsThatItBeganWith) {
  int rebalances = 0;
  for (std::uint64_t seed = 1; seed <= 100 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    KillWorld world(seed);
    world.run(600s);
    EXPECT_LE(world.longest_ms(), (kSession + 1s) / 1ms);
    rebalances += world.rebalances();
  }
  EXPECT_GT(rebalances, 5'000);
}

}  // namespace
}  // namespace tributary
