#include "gateway/pipeline/pipeline.h"

#include <gtest/gtest.h>

#include <mutex>

#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/pipeline/model_cluster.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;
using test::eventually;

/// Appends what is offered at once and answers from its own thread, as long as it is told to.
class AnsweringUplink final : public UplinkPort {
 public:
  AnsweringUplink(test::ModelCluster& cluster, UplinkEvents& events) : model_(cluster), events_(events) {
    thread_ = std::thread([this] { run(); });
  }
  ~AnsweringUplink() override { stop(); }
  void want_topic(const std::string&, std::int32_t) override {}
  void offer(SealedBatch batch) override {
    const std::lock_guard guard(mutex_);
    model_.offer(std::move(batch));
    changed_.notify_one();
  }
  void stop() override {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }
  void answer(bool answering) {
    const std::lock_guard guard(mutex_);
    answering_ = answering;
    changed_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      changed_.wait(lock, [&] { return stopping_ || (answering_ && model_.offered() > 0); });
      while (const auto id = answering_ ? model_.deliver() : std::nullopt) {
        lock.unlock();
        events_.on_acked(*id);
        lock.lock();
      }
    }
  }
  test::ModelUplink model_;
  UplinkEvents& events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answering_ = true;
  bool stopping_ = false;
  std::thread thread_;
};

class PipelineTest : public testing::Test {
 protected:
  void store(int number) {
    const auto payload = std::to_string(number);
    ReadingView reading;
    reading.topic = "readings";
    reading.key = "d";
    reading.payload = as_bytes(payload);
    reading.received = system_clock().mono_now();
    ASSERT_TRUE(intake_->store(reading, {}));
  }
  void start() {
    pipeline_ = std::make_unique<Pipeline>(*intake_, system_clock(), [](const Error& error) { FAIL() << error.message; });
    uplink_ = std::make_unique<AnsweringUplink>(cluster_, *pipeline_);
    forwarder_ = std::make_unique<Forwarder>(ForwarderOptions{}, routes_, *intake_, *buffer_, *uplink_,
                                             system_clock(), metrics_, [](bool) {});
    ASSERT_TRUE(forwarder_->begin());
    pipeline_->start(*forwarder_);
  }

  test::TempFolder intake_folder_{"/dev/shm"};
  test::TempFolder flash_folder_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("+ -> readings").value()}).value();
  test::ModelCluster cluster_;
  std::unique_ptr<Intake> intake_ = Intake::open({intake_folder_ / "intake", false}).value();
  std::unique_ptr<FlashBuffer> buffer_ = FlashBuffer::open({flash_folder_ / "flash"}).value();
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<AnsweringUplink> uplink_;
  std::unique_ptr<Forwarder> forwarder_;
};

TEST_F(PipelineTest, ReadingsThatAreStoredWakeItAndAreAcknowledgedSoon) {
  cluster_.topics["readings"] = 1;
  start();
  pipeline_->on_reachable(true);
  pipeline_->on_partition_count("readings", 1);
  for (int i = 0; i < 2000; ++i) store(i);
  EXPECT_TRUE(eventually(10s, [&] { return metrics_.acked.value() == 2000; }));
  pipeline_->stop(1s);
  uplink_->stop();
  const auto& log = cluster_.log({"readings", PartitionIndex(0)});
  ASSERT_EQ(log.size(), 2000u);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(log[static_cast<std::size_t>(i)].value, std::to_string(i));
}

TEST_F(PipelineTest, StoppingWaitsForAnswersOnlySoLongAndMovesTheRestToFlash) {
  cluster_.topics["readings"] = 1;
  start();
  uplink_->answer(false);
  pipeline_->on_reachable(true);
  pipeline_->on_partition_count("readings", 1);
  for (int i = 0; i < 10; ++i) store(i);
  const auto begin = std::chrono::steady_clock::now();
  pipeline_->stop(100ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(metrics_.spilled.value(), 10u);
  EXPECT_EQ(intake_->level().bytes(), 0u);
}

TEST_F(PipelineTest, StoppingWithoutAClusterIsQuickToMoveEverythingToFlash) {
  start();
  for (int i = 0; i < 10; ++i) store(i);
  pipeline_->stop(50ms);
  EXPECT_EQ(metrics_.spilled.value(), 10u);
}

}  // namespace
}  // namespace tributary
