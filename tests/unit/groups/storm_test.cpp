// Many members at once: the work is bounded.

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

class StormTest : public GroupTest {
 protected:
  static constexpr std::size_t kMembers = 500;

  /// Ticks until `done`, and counts them.
  template <class Done>
  int ticks_until(Done done) {
    int ticks = 0;
    for (; !done() && ticks < 10'000; ++ticks) {
      const auto step = coordinator_->next_deadline() - now_.mono;
      now_.mono += std::max(step, Duration(0));
      coordinator_->tick(now_);
      pump();
    }
    return ticks;
  }
};

TEST_F(StormTest, FiveHundredMembersThatComeAtOnceShareTheFirstGeneration) {
  std::vector<ReplyToken> joins;
  for (std::size_t i = 0; i < kMembers; ++i) {
    auto request = consumer();
    request.member_id_required = true;
    request.member_id = joined(join(request)).member_id;
    joins.push_back(join(request));
  }
  EXPECT_LE(ticks_until([&] { return answered(joins[0]); }), 2);  // the delay, and one more for those who came in it
  EXPECT_EQ(sync_all(joins), 1);
  EXPECT_EQ(appends_.size(), 1u);
  EXPECT_EQ(member_count(), kMembers);
}

TEST_F(StormTest, ARebalanceOfFiveHundredTakesOneAnswerEachAndOneRecord) {
  const auto ids = stable_group(kMembers);
  const auto appends = appends_.size();
  std::vector<ReplyToken> joins{join(consumer(ids[0]))};
  for (const auto& id : ids) EXPECT_EQ(heartbeat(id, 1), ErrorCode::kRebalanceInProgress);
  for (std::size_t i = 1; i < ids.size(); ++i) joins.push_back(join(consumer(ids[i])));
  EXPECT_EQ(sync_all(joins), 2);
  EXPECT_EQ(appends_.size(), appends + 1);
}

TEST_F(StormTest, FiveHundredThatDieTogetherAreRemovedWithinTwoRebalances) {
  stable_group(kMembers);
  EXPECT_LE(ticks_until([&] { return state() == GroupState::kEmpty; }), 4);
}

TEST_F(StormTest, HeartbeatsDoNotMultiplyTheTicks) {
  const auto ids = stable_group(kMembers);
  int ticks = 0;
  for (int i = 0; i < 60; ++i) {
    for (const auto& id : ids) ASSERT_EQ(heartbeat(id, 1), ErrorCode::kNone);
    const auto end = now_.mono + 1s;
    for (; coordinator_->next_deadline() <= end; ++ticks) {
      now_.mono = coordinator_->next_deadline();
      coordinator_->tick(now_);
    }
    now_.mono = end;
  }
  EXPECT_EQ(state(), GroupState::kStable);
  EXPECT_LE(ticks, 10);
}

}  // namespace
}  // namespace tributary
