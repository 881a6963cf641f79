#include "gateway/pipeline/pressure.h"

#include <gtest/gtest.h>

#include "gateway/pipeline/forwarder.h"
#include "gateway/pipeline/receiver.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/pipeline/model_cluster.h"

namespace tributary {
namespace {

class PressureTest : public testing::Test {
 protected:
  Pressure pressure(PressureOptions options) {
    return {options, *intake_, *buffer_, metrics_.mqtt_paused, [this](bool paused) { changes_.push_back(paused); }};
  }
  void store(std::size_t bytes) {
    const std::string payload(bytes, 'x');
    ReadingView reading;
    reading.topic = "readings";
    reading.payload = as_bytes(payload);
    ASSERT_TRUE(intake_->store(reading, {}));
  }

  test::TempFolder intake_folder_{"/dev/shm"};
  test::TempFolder flash_folder_;
  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value()}).value();
  std::unique_ptr<Intake> intake_ = Intake::open({intake_folder_ / "intake", false}).value();
  std::unique_ptr<FlashBuffer> buffer_ = FlashBuffer::open({flash_folder_ / "flash"}).value();
  std::vector<bool> changes_;
};

TEST_F(PressureTest, StoringAloneReachesTheMarkAndPausesOnce) {
  PressureOptions options;
  options.intake_bytes_max = 1'000'000;
  auto pressure = this->pressure(options);
  Receiver receiver({100'000}, routes_, *intake_, pressure, clock_, metrics_, [](const Error&) { abort(); });
  const std::string payload(10'000, 'x');
  std::size_t paused_at = 0;
  for (int i = 0; i < 100; ++i) {
    const MqttMessage message{"sensors/d/t", as_bytes(payload), {}, {}};
    receiver.on_messages({&message, 1});
    if (paused_at == 0 && !changes_.empty()) paused_at = intake_->level().bytes();
  }
  EXPECT_EQ(changes_, std::vector<bool>{true});
  EXPECT_GE(paused_at, 800'000u);
  EXPECT_LT(paused_at, 900'000u);
  EXPECT_EQ(metrics_.mqtt_paused.value(), 1);
}

TEST_F(PressureTest, ManySmallReadingsReachTheMarkAsWell) {
  PressureOptions options;
  options.intake_bytes_max = 100'000;
  auto pressure = this->pressure(options);
  Receiver receiver({100'000}, routes_, *intake_, pressure, clock_, metrics_, [](const Error&) { abort(); });
  const std::vector<MqttMessage> messages(10, MqttMessage{"sensors/d/t", {}, {}, {}});
  for (int i = 0; i < 120; ++i) receiver.on_messages(messages);
  EXPECT_EQ(changes_, std::vector<bool>{true});
}

TEST_F(PressureTest, ItPausesFromEightyPerCentAndTakesAgainBelowHalf) {
  PressureOptions options;
  options.intake_bytes_max = 100'000;
  auto pressure = this->pressure(options);
  store(70'000);
  pressure.update();
  EXPECT_TRUE(changes_.empty());
  store(10'000);
  pressure.update();
  EXPECT_EQ(changes_, std::vector<bool>{true});
  ASSERT_TRUE(intake_->bind({1, ProducerId(1), ProducerEpoch(0)}, {}, BatchId(0)));
  ASSERT_TRUE(intake_->read(1, [](ReadingId, const ReadingView&) { return true; }));
  SealedBatch batch;
  batch.info = {BatchId(1), {"readings", PartitionIndex(0)}, ProducerId(1), ProducerEpoch(0), Sequence(0), 1};
  batch.bytes = SharedBytes(Bytes(45'000));
  ASSERT_TRUE(intake_->seal(ReadingId(1), {batch}));  // 55 kB are left
  pressure.update();
  EXPECT_EQ(changes_, std::vector<bool>{true});
  ASSERT_TRUE(intake_->remove_sealed({BatchId(1)}));
  pressure.update();
  EXPECT_EQ(changes_, (std::vector<bool>{true, false}));
}

TEST_F(PressureTest, LittleRoomOnTheFileSystemIsFullWhateverIsHeld) {
  PressureOptions options;
  options.intake_room_min = SIZE_MAX / 2;
  auto pressure = this->pressure(options);
  pressure.update();
  EXPECT_EQ(changes_, std::vector<bool>{true});
}

TEST_F(PressureTest, AnIntakeThatIsFullAtTheStartIsKnownBeforeTheFirstReading) {
  test::ModelCluster cluster;
  test::ModelUplink uplink(cluster);
  ForwarderOptions options;
  options.intake_bytes_max = 100'000;
  store(90'000);
  Forwarder forwarder(options, routes_, *intake_, *buffer_, uplink, clock_, metrics_,
                      [this](bool paused) { changes_.push_back(paused); });
  ASSERT_TRUE(forwarder.begin());
  EXPECT_EQ(changes_, std::vector<bool>{true});
}

}  // namespace
}  // namespace tributary
