#include "cluster/storage/flusher.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/sim/files/simulated_file_system.h"

namespace tributary {
namespace {

/// A file whose syncs wait for permission and are counted.
class GatedFile final : public File {
 public:
  Result<std::size_t> read_at(std::uint64_t, std::span<std::uint8_t>) const override { return 0; }
  Result<> write_at(std::uint64_t, std::span<const ByteView>) override { return {}; }
  Result<> truncate(std::uint64_t) override { return {}; }
  Result<std::uint64_t> size() const override { return 0; }

  Result<> sync_data() override {
    std::unique_lock lock(mutex_);
    ++syncs_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return result_;
  }
  void AwaitSyncs(int count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return syncs_ >= count; }));
  }
  void Open(Result<> result = {}) {
    const std::lock_guard lock(mutex_);
    open_ = true;
    result_ = std::move(result);
    changed_.notify_all();
  }
  int Syncs() {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int syncs_ = 0;
  Result<> result_;
};

class FlusherTest : public testing::Test {
 protected:
  using Outcome = std::future<Result<>>;

  Outcome Submit(Flusher& flusher, std::vector<std::shared_ptr<File>> files, std::string folder = "") {
    auto promise = std::make_shared<std::promise<Result<>>>();
    auto future = promise->get_future();
    flusher.submit({1, Offset(1), std::move(files), std::move(folder)},
                   [promise](const FlushTicket&, const Result<>& result) { promise->set_value(result); });
    return future;
  }
  static Result<> Get(Outcome& outcome) {
    if (outcome.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
      return fail(Errc::kTimeout, "no completion");
    return outcome.get();
  }

  sim::SimulatedFileSystem fs_;
};

TEST_F(FlusherTest, TicketsThatQueueDuringASyncShareTheNextOne) {
  const auto file = std::make_shared<GatedFile>();
  Flusher flusher(fs_, system_clock());
  std::vector<Outcome> outcomes;
  outcomes.push_back(Submit(flusher, {file}));
  file->AwaitSyncs(1);
  for (int i = 0; i < 50; ++i) outcomes.push_back(Submit(flusher, {file}));
  file->Open();
  for (auto& outcome : outcomes) EXPECT_TRUE(Get(outcome));
  EXPECT_EQ(file->Syncs(), 2);
}

TEST_F(FlusherTest, AFailureReachesEveryTicketOfTheFileAndItIsNeverSyncedAgain) {
  const auto bad = std::make_shared<GatedFile>();
  const auto good = std::make_shared<GatedFile>();
  good->Open();
  Flusher flusher(fs_, system_clock());
  auto first = Submit(flusher, {bad});
  bad->AwaitSyncs(1);
  auto second = Submit(flusher, {good, bad});
  auto other = Submit(flusher, {good});
  bad->Open(fail(Errc::kIo, "broken disk"));
  EXPECT_EQ(Get(first).error().message, "broken disk");
  EXPECT_EQ(Get(second).error().message, "broken disk");
  EXPECT_TRUE(Get(other));
  bad->Open();
  auto later = Submit(flusher, {bad});
  EXPECT_EQ(Get(later).error().message, "broken disk");
  EXPECT_EQ(bad->Syncs(), 1);
}

TEST_F(FlusherTest, AFolderIsSyncedAfterItsFiles) {
  ASSERT_TRUE(fs_.create_directories("/d"));
  std::vector<std::string> order;
  fs_.set_hook([&](auto operation, const std::string& path) -> Result<> {
    using Operation = sim::SimulatedFileSystem::Operation;
    if (operation == Operation::kSyncData || operation == Operation::kSyncDirectory) order.push_back(path);
    return {};
  });
  const auto file = fs_.open("/d/f", OpenMode::kCreate).value();
  Flusher flusher(fs_, system_clock());
  auto outcome = Submit(flusher, {file}, "/d");
  EXPECT_TRUE(Get(outcome));
  auto missing = Submit(flusher, {}, "/nowhere");
  EXPECT_FALSE(Get(missing));
  flusher.stop();
  EXPECT_EQ(order, (std::vector<std::string>{"/d/f", "/d"}));
}

TEST_F(FlusherTest, StopCompletesWhatIsQueuedAndRefusesTheRest) {
  const auto file = std::make_shared<GatedFile>();
  Flusher flusher(fs_, system_clock());
  std::vector<Outcome> outcomes;
  outcomes.push_back(Submit(flusher, {file}));
  file->AwaitSyncs(1);
  for (int i = 0; i < 10; ++i) outcomes.push_back(Submit(flusher, {file}));
  file->Open();
  flusher.stop();
  for (auto& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    EXPECT_TRUE(outcome.get());
  }
  auto refused = Submit(flusher, {file});
  EXPECT_EQ(Get(refused).error().code, Errc::kUnavailable);
}

TEST_F(FlusherTest, SyncsAndRoundsAreObserved) {
  const auto file = std::make_shared<GatedFile>();
  file->Open();
  std::atomic<int> syncs{0};
  std::atomic<std::size_t> tickets{0};
  Flusher flusher(fs_, system_clock(),
                  {[&](Duration took) { syncs += took.count() >= 0; },
                   [&](std::size_t covered, std::size_t) { tickets += covered; }});
  auto outcome = Submit(flusher, {file});
  EXPECT_TRUE(Get(outcome));
  flusher.stop();
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ(tickets, 1u);
}

TEST_F(FlusherTest, ManyThreadsSubmit) {
  const auto file = std::make_shared<GatedFile>();
  file->Open();
  std::atomic<int> completed{0};
  {
    Flusher flusher(fs_, system_clock());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i)
          flusher.submit({1, Offset(1), {file}, ""}, [&](const auto&, const Result<>& r) { completed += r ? 1 : 0; });
      });
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(completed, 2000);
}

}  // namespace
}  // namespace tributary
