#include "cluster/server/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <future>

#include "tests/support/eventually.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

class ShardTest : public ::testing::Test {
 protected:
  void SetUp() override { shard_.start(); }
  Shard shard_{0, "shard"};
};

TEST_F(ShardTest, TasksOfOneThreadRunInTheirOrder) {
  std::vector<int> ran;
  for (int i = 0; i < 1'000; ++i) shard_.post([&, i] { ran.push_back(i); });
  shard_.run_and_wait([] {});
  ASSERT_EQ(ran.size(), 1'000u);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST_F(ShardTest, RunOnIsDirectOnItsOwnThread) {
  std::string order;
  shard_.run_and_wait([&] {
    shard_.post([&] { order += "posted"; });
    shard_.run_on([&] { order += "direct "; });
  });
  // What a shard posts to itself may come after what others posted meanwhile.
  for (int round = 0; round < 2; ++round) shard_.run_and_wait([] {});
  EXPECT_EQ(order, "direct posted");
}

TEST_F(ShardTest, ATimerThatIsDroppedNeverRuns) {
  std::atomic<int> ran = 0;
  std::unique_ptr<ShardTimer> kept, dropped;
  shard_.run_and_wait([&] {
    dropped = shard_.after(5ms, [&] { ran += 100; });
    kept = shard_.after(10ms, [&] { ran += 1; });
  });
  shard_.run_and_wait([&] { dropped.reset(); });
  EXPECT_TRUE(eventually(10s, [&] { return ran > 0; }));
  EXPECT_EQ(ran, 1);
  shard_.run_and_wait([&] { kept.reset(); });
}

TEST_F(ShardTest, StoppingDropsWhatIsQueued) {
  std::promise<void> begun, go_on;
  shard_.post([&] {
    begun.set_value();
    go_on.get_future().wait();
  });
  begun.get_future().wait();
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  shard_.post([held = std::move(held)] { ADD_FAILURE() << "ran after stop"; });
  shard_.context().stop();
  go_on.set_value();
  shard_.stop();
  EXPECT_FALSE(watch.expired());  // dropped with the shard, not before
}

}  // namespace
}  // namespace tributary::test
