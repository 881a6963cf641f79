// A group in an unquiet world, from a seed: members come, die, leave, lose their connections and come back, the log
// fails, the broker restarts. What must hold is checked at every step.

#include <functional>
#include <map>
#include <optional>
#include <set>

#include "tests/unit/groups/group_fixture.h"
#include "tests/unit/groups/simulated_broker.h"
#include "tests/unit/groups/simulated_member.h"

namespace tributary {
namespace {

class World {
 public:
  World(std::uint64_t seed, std::size_t members);

  void run(Duration by);
  /// No more deaths and failures: after the last rebalance all that run share one generation.
  void settle_and_check();

  struct Counts {
    int generations = 0, restarts = 0, acknowledged = 0, connections_lost = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  enum class Fate { kPending, kAcknowledged, kRefused, kUnknown };
  struct Commit {
    std::string group;
    TopicPartition partition;
    Fate fate = Fate::kPending;
  };
  using Key = std::pair<std::string, TopicPartition>;

  void step(MonoTime until);
  void disturb();
  void disturb_member();
  [[nodiscard]] std::optional<Duration> seen_after();
  void commit();
  void answered(ReplyToken token, const GroupResult& result);
  void lost(ReplyToken token);
  void commit_answered(Commit& commit, std::int64_t offset, const GroupCommitResult& result);
  void check_join(const GroupJoinResult& result);
  void check_leaders();
  void check_offsets();
  void after_reload();
  void watch_rebalance();
  [[nodiscard]] std::int64_t fetched(const Key& key);
  [[nodiscard]] std::int32_t current_generation() const { return std::max(generation_, broker_.restored_generation()); }

  SeededRandom random_;
  SimulatedBroker broker_;
  std::vector<SimulatedMember> members_;
  std::map<ReplyToken, std::int64_t> commit_tokens_;
  MonoTime disturb_at_{};
  bool calm_ = false;
  std::uint64_t unrest_ = 0;  // of a thousand

  // What the answers say of the generations of this life of the broker.
  std::int32_t generation_ = 0;
  std::int32_t synced_generation_ = 0;                       // of all lives
  std::map<std::int32_t, std::set<std::string>> leaders_;    // who was told so, static members by instance id
  std::int64_t last_offset_ = 0;
  std::map<std::int64_t, Commit> commits_;  // by offset, which is never used twice
  std::map<Key, std::int64_t> visible_;

  GroupState state_ = GroupState::kEmpty;
  MonoTime state_since_{};
  Counts counts_;

  static constexpr std::int32_t kSessionMsMax = 25'000;
  /// A heartbeat comes within a third of the session timeout, and a member joins again within 4 s of its answer.
  static constexpr std::int32_t kRebalanceMsMin = kSessionMsMax / 3 + 4'000 + 500;
  static constexpr std::int32_t kRebalanceMsMax = 30'000;
};

GroupOptions small_options() {
  GroupOptions options;
  options.offsets_partitions = 3;
  options.group_size_max = 40;
  return options;
}

World::World(std::uint64_t seed, std::size_t members)
    : random_(seed),
      broker_(small_options(), random_,
              {[this](ReplyToken token, const GroupResult& result) { answered(token, result); },
               [this](ReplyToken token) { lost(token); }}) {
  members_.reserve(members);
  const auto spread_ms = random_.below(kRebalanceMsMax - kRebalanceMsMin) + 1;  // of this world
  unrest_ = random_.below(2) == 0 ? 160 : 16;
  for (std::size_t i = 0; i < members; ++i) {
    const auto session_ms = 6'000 + static_cast<std::int32_t>(random_.below(kSessionMsMax - 6'000 + 1));
    const auto rebalance_ms = kRebalanceMsMin + static_cast<std::int32_t>(random_.below(spread_ms));
    std::optional<std::string> instance;
    if (i % 3 == 0) instance = fmt::format("static{}", i);
    members_.emplace_back(broker_, random_, instance, SimulatedMember::Timeouts{session_ms, rebalance_ms});
    members_.back().start();
  }
}

// ---- Time

void World::run(Duration by) {
  const auto end = broker_.now().mono + by;
  while (broker_.now().mono < end && !testing::Test::HasFailure()) step(end);
}

void World::step(MonoTime until) {
  auto next = std::min({until, broker_.next_event(), disturb_at_});
  for (const auto& member : members_) next = std::min(next, member.next_event());
  broker_.advance_to(std::max(next, broker_.now().mono));
  for (auto& member : members_) member.act();
  if (broker_.now().mono >= disturb_at_) disturb();
  check_leaders();
  check_offsets();
  watch_rebalance();
}

void World::disturb() {
  disturb_at_ = broker_.now().mono + std::chrono::milliseconds(200 + random_.below(2'000));
  commit();
  if (calm_) return;
  const auto luck = random_.below(1'000);
  if (luck < 4) {
    broker_.restart();
    after_reload();
  } else if (luck < 8) {
    broker_.move_away_and_back();
    after_reload();
  } else if (luck < unrest_) {
    disturb_member();
  }
}

void World::disturb_member() {
  auto& member = members_[random_.below(members_.size())];
  if (!member.running()) return member.start();
  switch (random_.below(5)) {
    case 0: return member.leave();
    case 1: member.kill(seen_after()); return member.start();  // at once: the old one is still known
    case 2: ++counts_.connections_lost; return member.lose_connection(seen_after());
    default: return member.kill(seen_after());
  }
}

/// A process that ends is seen at once, a cable that is cut later or never.
std::optional<Duration> World::seen_after() {
  switch (random_.below(4)) {
    case 0: return std::nullopt;
    case 1: return std::chrono::milliseconds(random_.below(5'000));
    default: return 0ms;
  }
}

void World::settle_and_check() {
  calm_ = true;
  broker_.calm_down();
  for (auto& member : members_)
    if (!member.running()) member.start();
  run(std::chrono::milliseconds(3 * (kRebalanceMsMax + kSessionMsMax)));
  if (testing::Test::HasFailure()) return;
  EXPECT_EQ(broker_.coordinator().describe("g").state, GroupState::kStable);
  EXPECT_EQ(broker_.coordinator().describe("g").members.size(), members_.size());
  for (const auto& member : members_) {
    EXPECT_TRUE(member.assigned()) << member.id();
    EXPECT_EQ(member.generation(), current_generation()) << member.id();
  }
  broker_.move_away_and_back();
  EXPECT_EQ(broker_.unanswered(), 0u);
  after_reload();
}

// ---- Answers

void World::answered(ReplyToken token, const GroupResult& result) {
  if (const auto found = commit_tokens_.find(token); found != commit_tokens_.end()) {
    const auto offset = found->second;
    commit_tokens_.erase(found);
    return commit_answered(commits_.at(offset), offset, std::get<GroupCommitResult>(result));
  }
  if (const auto* joined = std::get_if<GroupJoinResult>(&result)) check_join(*joined);
  for (auto& member : members_) {
    if (!member.owns(token)) continue;
    const auto generation = member.generation();
    // Whoever is told that all is well is in the newest generation.
    const auto* synced = std::get_if<GroupSyncResult>(&result);
    const auto* beaten = std::get_if<GroupHeartbeatResult>(&result);
    if ((synced != nullptr && synced->error == ErrorCode::kNone) ||
        (beaten != nullptr && beaten->error == ErrorCode::kNone)) {
      EXPECT_EQ(generation, current_generation());
    }
    if (synced != nullptr && synced->error == ErrorCode::kNone)
      synced_generation_ = std::max(synced_generation_, generation);
    return member.answered(token, result);
  }
}

void World::check_join(const GroupJoinResult& result) {
  if (result.error != ErrorCode::kNone) return;
  EXPECT_GE(result.generation_id, current_generation()) << "a generation that is over";
  EXPECT_GE(result.generation_id, synced_generation_) << "one that was in use is forgotten";
  if (result.generation_id > current_generation()) ++counts_.generations;
  generation_ = std::max(generation_, result.generation_id);
  auto& leaders = leaders_[result.generation_id];
  if (result.leader != result.member_id) return;
  const bool is_static = result.leader.starts_with("static");
  leaders.insert(is_static ? result.leader.substr(0, result.leader.find('-')) : result.leader);
  EXPECT_FALSE(result.members.empty());
}

void World::check_leaders() {
  for (const auto& [generation, leaders] : leaders_) {
    const bool began_here = generation > broker_.restored_generation();
    EXPECT_LE(leaders.size(), 1u) << "in generation " << generation;
    EXPECT_TRUE(!began_here || !leaders.empty()) << "generation " << generation << " has no leader";
  }
}

void World::lost(ReplyToken token) {
  if (const auto found = commit_tokens_.find(token); found != commit_tokens_.end()) {
    commits_.at(found->second).fate = Fate::kUnknown;
    commit_tokens_.erase(found);
  }
  for (auto& member : members_)
    if (member.owns(token)) return member.lost(token);
}

// ---- Offsets

void World::commit() {
  const bool simple = random_.below(3) == 0;
  const auto& member = members_[random_.below(members_.size())];
  if (!simple && member.generation() < 0) return;
  const auto offset = ++last_offset_;
  const Key key{simple ? "simple" : "g", {"readings", PartitionIndex(static_cast<std::int32_t>(random_.below(5)))}};
  GroupCommit request{.group_id = key.first, .partitions = {{key.second, Offset(offset), kNoLeaderEpoch, ""}}};
  if (!simple) {
    request.member_id = member.id();
    request.generation_id = member.generation();
  }
  commits_[offset] = {key.first, key.second};
  const auto token = broker_.next_token();
  commit_tokens_[token] = offset;
  broker_.coordinator().commit(broker_.now(), token, request);
  broker_.pump();
}

void World::commit_answered(Commit& commit, std::int64_t offset, const GroupCommitResult& result) {
  ASSERT_EQ(result.partitions.size(), 1u);
  switch (result.partitions[0].error) {
    case ErrorCode::kNone: {
      commit.fate = Fate::kAcknowledged;
      ++counts_.acknowledged;
      auto& visible = visible_[{commit.group, commit.partition}];
      visible = std::max(visible, offset);
      return;
    }
    case ErrorCode::kRequestTimedOut:
    case ErrorCode::kNotCoordinator: commit.fate = Fate::kUnknown; return;
    default: commit.fate = Fate::kRefused;
  }
}

std::int64_t World::fetched(const Key& key) {
  const auto result = broker_.coordinator().fetch({.group_id = key.first, .partitions = std::vector{key.second}});
  EXPECT_EQ(result.error, ErrorCode::kNone);
  return result.partitions.at(0).offset.value();
}

void World::check_offsets() {
  for (const auto& [key, offset] : visible_) EXPECT_EQ(fetched(key), offset) << key.first << " " << key.second.partition.value();
}

/// What is there now was acknowledged last, or nobody knows of it and it came later.
void World::after_reload() {
  ++counts_.restarts;
  generation_ = 0;
  leaders_.clear();
  for (const auto& group : {"g", "simple"}) {
    for (std::int32_t i = 0; i < 5; ++i) {
      const Key key{group, {"readings", PartitionIndex(i)}};
      const auto offset = fetched(key);
      const auto acknowledged = visible_.contains(key) ? visible_.at(key) : -1;
      if (offset == acknowledged) continue;
      EXPECT_GT(offset, acknowledged) << "an acknowledged offset is lost";
      ASSERT_TRUE(commits_.contains(offset));
      EXPECT_EQ(commits_.at(offset).fate, Fate::kUnknown) << "a refused offset is visible";
      EXPECT_EQ(commits_.at(offset).group, group);
      EXPECT_EQ(commits_.at(offset).partition, key.second);
      visible_[key] = offset;
    }
  }
  state_ = broker_.coordinator().describe("g").state;
  state_since_ = broker_.now().mono;
}

// ---- Rebalances

void World::watch_rebalance() {
  const auto state = broker_.coordinator().describe("g").state;
  const auto lasted = broker_.now().mono - state_since_;
  const Duration rebalance = std::chrono::milliseconds(kRebalanceMsMax);
  auto longest = Duration::max();
  if (state_ == GroupState::kPreparingRebalance) longest = rebalance + std::chrono::milliseconds(kSessionMsMax);
  if (state_ == GroupState::kCompletingRebalance) longest = rebalance + SimulatedBroker::kAppendTimeMax;
  EXPECT_LE(lasted, longest) << name_of(state_) << " does not end";
  if (state == state_) return;
  state_ = state;
  state_since_ = broker_.now().mono;
}

World::Counts simulate(std::uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  World world(seed, 8 + random.below(23));
  for (int round = 0; round < 3 && !testing::Test::HasFailure(); ++round) world.run(1'000s);
  world.settle_and_check();
  return world.counts();
}

TEST(GroupSimulationTest, WhatMustHoldHoldsFromKnownSeeds) {
  World::Counts all;
  for (std::uint64_t seed = 1; seed <= 15 && !testing::Test::HasFailure(); ++seed) {
    const auto counts = simulate(seed);
    all.generations += counts.generations;
    all.restarts += counts.restarts;
    all.acknowledged += counts.acknowledged;
    all.connections_lost += counts.connections_lost;
  }
  // So much has happened.
  EXPECT_GT(all.generations, 1'000);
  EXPECT_GT(all.restarts, 100);
  EXPECT_GT(all.acknowledged, 5'000);
  EXPECT_GT(all.connections_lost, 200);
}

TEST(GroupSimulationTest, WhatMustHoldHoldsFromARandomSeed) {
  const auto seed = random_u64_from_os();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  (void)simulate(seed);
}

}  // namespace
}  // namespace tributary
