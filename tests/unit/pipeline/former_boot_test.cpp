// An intake on disk after a power cut: it is there, and older than it was.

#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/pipeline/forwarder.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/pipeline/model_cluster.h"

namespace tributary {
namespace {

using std::chrono::milliseconds;

class FormerBootTest : public testing::Test {
 protected:
  FormerBootTest() { cluster_.topics["readings"] = 1; }
  ~FormerBootTest() override { end(); }

  void start(const std::string& boot_id) {
    end();
    intake_ = Intake::open({folder_ / "intake", false, boot_id}).value();
    buffer_ = FlashBuffer::open({flash_folder_ / "flash"}).value();
    uplink_ = std::make_unique<test::ModelUplink>(cluster_);
    forwarder_ = std::make_unique<Forwarder>(ForwarderOptions{}, routes_, *intake_, *buffer_, *uplink_, clock_,
                                             metrics_, [](bool) {});
    const auto begun = forwarder_->begin();
    ASSERT_TRUE(begun) << begun.error().message;
    forwarder_->reachable(true);
    forwarder_->partition_count("readings", 1);
  }
  void end() {
    forwarder_.reset();
    uplink_.reset();
    buffer_.reset();
    intake_.reset();
  }
  /// What is on the disk now is what a later power cut leaves.
  void write_back() { std::filesystem::copy(folder_ / "intake", folder_ / "disk"); }
  void cut_power() {
    end();
    std::filesystem::remove_all(folder_ / "intake");
    std::filesystem::copy(folder_ / "disk", folder_ / "intake");
  }
  void seal_and_offer(const std::string& payload) {
    ReadingView reading;
    reading.topic = "readings";
    reading.key = "d";
    reading.payload = as_bytes(payload);
    reading.received = clock_.mono_now();
    ASSERT_TRUE(intake_->store(reading, {}));
    advance_and_step(milliseconds(0));
    advance_and_step(milliseconds(10));
  }
  void advance_and_step(Duration by) {
    clock_.advance(by);
    const auto next = forwarder_->step();
    ASSERT_TRUE(next) << next.error().message;
  }
  void deliver_all() {
    for (int round = 0; round < 100; ++round) {
      while (const auto id = uplink_->deliver()) forwarder_->acked(*id);
      advance_and_step(milliseconds(10));
    }
    EXPECT_TRUE(forwarder_->drained());
  }
  std::vector<std::string> in_log() {
    std::vector<std::string> values;
    for (const auto& record : cluster_.all()) values.push_back(record.value);
    return values;
  }

  test::TempFolder folder_{"/dev/shm"};
  test::TempFolder flash_folder_;
  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value()}).value();
  test::ModelCluster cluster_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<FlashBuffer> buffer_;
  std::unique_ptr<test::ModelUplink> uplink_;
  std::unique_ptr<Forwarder> forwarder_;
};

TEST_F(FormerBootTest, SequencesThatWereUsedAfterTheLastWriteBackAreNotUsedAgain) {
  start("one");
  seal_and_offer("0");
  deliver_all();
  write_back();
  seal_and_offer("1");
  seal_and_offer("2");
  deliver_all();
  cut_power();
  start("two");
  seal_and_offer("3");
  seal_and_offer("4");
  deliver_all();
  EXPECT_EQ(in_log(), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

TEST_F(FormerBootTest, ABatchWhoseSuccessorIsOnFlashWasAcknowledgedAndIsNotSentAgain) {
  start("one");
  seal_and_offer("0");
  write_back();
  deliver_all();
  seal_and_offer("1");
  advance_and_step(std::chrono::seconds(1));
  ASSERT_NE(buffer_->last_id(), BatchId(0));
  cut_power();
  start("two");
  seal_and_offer("2");
  deliver_all();
  EXPECT_EQ(in_log(), (std::vector<std::string>{"0", "1", "2"}));
}

TEST_F(FormerBootTest, ARestartInTheSameBootKeepsTheEpoch) {
  start("one");
  seal_and_offer("0");
  const auto epoch = buffer_->identity().epoch;
  start("one");
  EXPECT_EQ(buffer_->identity().epoch, epoch);
  start("two");
  EXPECT_NE(buffer_->identity().epoch, epoch);
  const auto next_epoch = buffer_->identity().epoch;
  start("two");
  EXPECT_EQ(buffer_->identity().epoch, next_epoch);
  deliver_all();
  EXPECT_EQ(in_log(), std::vector<std::string>{"0"});
}

TEST_F(FormerBootTest, ACrashBetweenTheNewEpochAndItsBindingLeavesTheReadingsWithTheirGateway) {
  start("one");
  seal_and_offer("0");
  end();
  intake_ = Intake::open({folder_ / "intake", false, "two"}).value();
  buffer_ = FlashBuffer::open({flash_folder_ / "flash"}).value();
  ASSERT_TRUE(intake_->is_of_former_boot());
  ASSERT_TRUE(intake_->unbind());
  ASSERT_TRUE(buffer_->begin_epoch());
  start("two");
  seal_and_offer("1");
  deliver_all();
  EXPECT_EQ(in_log(), (std::vector<std::string>{"0", "1"}));
}

}  // namespace
}  // namespace tributary
