#include "gateway/pipeline/forwarder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>

#include "common/env/file_system.h"
#include "common/env/random.h"
#include "common/sqlite/database.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/pipeline/model_cluster.h"

namespace tributary {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A gateway without MQTT and network, whose process can end at any step, with or without its tmpfs.
class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() { cluster_.topics["readings"] = 4; }
  ~ForwarderTest() override { crash(); }

  void start() {
    crash();
    auto intake = Intake::open({intake_folder_ / "intake", false, 1000});
    ASSERT_TRUE(intake) << intake.error().message;
    intake_ = std::move(*intake);
    auto buffer = FlashBuffer::open({flash_folder_ / "flash"});
    ASSERT_TRUE(buffer) << buffer.error().message;
    buffer_ = std::move(*buffer);
    uplink_ = std::make_unique<test::ModelUplink>(cluster_);
    forwarder_ = std::make_unique<Forwarder>(options_, routes_, *intake_, *buffer_, *uplink_, clock_, metrics_,
                                             [this](bool paused) { paused_ = paused; });
    const auto begun = forwarder_->begin();
    ASSERT_TRUE(begun) << begun.error().message;
  }
  void crash() {
    forwarder_.reset();
    uplink_.reset();
    buffer_.reset();
    intake_.reset();
  }
  void lose_tmpfs() {
    crash();
    ASSERT_TRUE(remove_recursively(posix_file_system(), intake_folder_ / "intake"));
  }
  void cluster_answers() {
    forwarder_->reachable(true);
    for (const auto& [topic, count] : cluster_.topics) forwarder_->partition_count(topic, count);
  }
  void store(int device, std::size_t padding = 0) {
    const auto key = fmt::format("d{}", device);
    const auto payload = fmt::format("{} {}", next_[device]++, std::string(padding, 'x'));
    ReadingView reading;
    reading.topic = "readings";
    reading.key = key;
    reading.mqtt_topic = "sensors/x/y";
    reading.payload = as_bytes(payload);
    reading.received_ms = clock_.wall_now_ms();
    reading.received = clock_.mono_now();
    ASSERT_EQ(intake_->store(reading, {}), StoreOutcome::kStored);
  }
  /// A reading of the device 0 that does not compress.
  void store_noise(std::size_t bytes) {
    auto payload = fmt::format("{} ", next_[0]++);
    while (payload.size() < bytes) payload += static_cast<char>('!' + noise_.below(90));
    ReadingView reading;
    reading.topic = "readings";
    reading.key = "d0";
    reading.payload = as_bytes(payload);
    reading.received = clock_.mono_now();
    ASSERT_EQ(intake_->store(reading, {}), StoreOutcome::kStored);
  }
  MonoTime step() {
    const auto next = forwarder_->step();
    EXPECT_TRUE(next) << next.error().message;
    return next.value_or(MonoTime::max());
  }
  void advance_and_step(Duration by) {
    clock_.advance(by);
    step();
  }
  /// Everything that is offered is delivered and acknowledged, until nothing is left.
  void deliver_all() {
    for (int round = 0; round < 10'000; ++round) {
      bool any = false;
      while (const auto id = uplink_->deliver()) {
        forwarder_->acked(*id);
        any = true;
      }
      advance_and_step(milliseconds(3));
      if (!any && forwarder_->drained() && uplink_->offered() == 0 && buffer_->last_id() == BatchId(0)) return;
    }
    FAIL() << "not drained: " << uplink_->offered() << " offered, flash up to "
           << buffer_->last_id().value();
  }
  /// Every device's readings are in the log, once each and in order (`lost_at_most` may be missing).
  void expect_complete(int lost_at_most = 0) {
    std::map<std::string, int> last;
    int found = 0;
    for (const auto& record : cluster_.all()) {
      const int number = std::stoi(record.value);
      const auto seen = last.find(record.key);
      const int expected = seen == last.end() ? 0 : seen->second + 1;
      if (lost_at_most == 0) {
        EXPECT_EQ(number, expected) << record.key;
      } else {
        EXPECT_GE(number, expected) << record.key;
      }
      last[record.key] = number;
      ++found;
    }
    int sent = 0;
    for (const auto& [device, count] : next_) sent += count;
    EXPECT_LE(found, sent);
    EXPECT_GE(found, sent - lost_at_most);
  }

  test::TempFolder intake_folder_{"/dev/shm"};
  test::TempFolder flash_folder_;
  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value()}).value();
  ForwarderOptions options_;
  test::ModelCluster cluster_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<FlashBuffer> buffer_;
  std::unique_ptr<test::ModelUplink> uplink_;
  std::unique_ptr<Forwarder> forwarder_;
  std::map<int, int> next_;
  bool paused_ = false;
  SeededRandom noise_{3};
};

TEST_F(ForwarderTest, WithAHealthyUplinkReadingsGoOutAtOnceAndFlashIsNotTouched) {
  start();
  cluster_answers();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();  // the first seal puts the partition count on flash
  const auto file_time = std::filesystem::last_write_time(flash_folder_ / "flash/buffer.db");
  for (int i = 0; i < 300; ++i) {
    store(i % 10);
    advance_and_step(milliseconds(5));
    EXPECT_GT(uplink_->offered(), 0u);
    while (const auto id = uplink_->deliver()) forwarder_->acked(*id);
    step();
  }
  deliver_all();
  expect_complete();
  EXPECT_EQ(metrics_.spilled.value(), 0u);
  EXPECT_EQ(std::filesystem::last_write_time(flash_folder_ / "flash/buffer.db"), file_time);
}

TEST_F(ForwarderTest, UnacknowledgedReadingsAreOnFlashWithinDurableWithin) {
  start();
  for (int i = 0; i < 100; ++i) store(i % 7);
  const auto next = step();
  EXPECT_LE(next, clock_.mono_now() + milliseconds(700));
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
  advance_and_step(milliseconds(700));
  EXPECT_EQ(metrics_.spilled.value(), 100u);
  EXPECT_TRUE(forwarder_->drained());
  lose_tmpfs();  // the power cut after that
  start();
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
}

TEST_F(ForwarderTest, OfferedBatchesThatAreNotAnsweredGoToFlashTooAndAreTakenOffAfterTheirAnswer) {
  start();
  cluster_answers();
  store(1);
  advance_and_step(milliseconds(5));
  ASSERT_EQ(uplink_->offered(), 1u);
  advance_and_step(milliseconds(700));
  EXPECT_EQ(metrics_.spilled.value(), 1u);
  store(1);
  advance_and_step(milliseconds(750));
  EXPECT_EQ(metrics_.spilled.value(), 2u);
  deliver_all();
  expect_complete();
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
}

TEST_F(ForwarderTest, ALongOutageDrainsInOrderWithBoundedMemoryWhileNewReadingsCome) {
  start();
  for (int i = 0; i < 400; ++i) {
    for (int device = 0; device < 20; ++device) store(device);
    advance_and_step(milliseconds(250));
  }
  EXPECT_GT(buffer_->last_id(), BatchId(300));
  cluster_answers();
  for (int i = 0; i < 2000; ++i) {
    store(i % 20);
    advance_and_step(milliseconds(5));
    EXPECT_LE(uplink_->offered(), 4 * UplinkPort::kOfferedMax);
    if (const auto id = uplink_->deliver()) forwarder_->acked(*id);
  }
  deliver_all();
  expect_complete();
  while (buffer_->give_space_back().value()) {
  }
  EXPECT_LT(buffer_->file_bytes(), 400'000u);
}

TEST_F(ForwarderTest, AfterALostIntakeANewEpochBeginsBehindTheOldBatches) {
  start();
  for (int i = 0; i < 50; ++i) store(i % 5);
  advance_and_step(milliseconds(700));
  lose_tmpfs();
  start();
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(1));
  for (int i = 0; i < 50; ++i) store(i % 5);
  advance_and_step(milliseconds(1));
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
  lose_tmpfs();
  start();
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(2));
}

TEST_F(ForwarderTest, ARestartWithTmpfsKeepsEpochAndSequences) {
  start();
  cluster_answers();
  for (int i = 0; i < 20; ++i) store(i % 5);
  advance_and_step(milliseconds(5));
  uplink_->append_all();  // in the log, but no answer came back
  start();
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(0));
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
  EXPECT_GT(cluster_.duplicates(), 0);
}

TEST_F(ForwarderTest, RandomCrashesOutagesAndLostAnswersLoseAndDoubleNothing) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  options_.in_flight_bytes_max = 20'000;
  start();
  bool up = false;
  for (int i = 0; i < 1500; ++i) {
    switch (random.below(12)) {
      case 0:
        if (random.below(8) == 0) {
          if (random.below(2) == 0) uplink_->append_all();
          start();
          up = false;
        }
        break;
      case 1:
        up = !up;
        if (up) cluster_answers(); else forwarder_->reachable(false);
        break;
      case 2: case 3: case 4:
        if (up) {
          if (const auto id = uplink_->deliver(random.below(4) != 0)) forwarder_->acked(*id);
        }
        break;
      case 5:
        if (up) {
          while (const auto id = uplink_->deliver()) forwarder_->acked(*id);
        }
        break;
      default:
        store(static_cast<int>(random.below(12)), random.below(20) == 0 ? 5000 : random.below(50));
    }
    clock_.advance(milliseconds(random.below(random.below(10) == 0 ? 900 : 20)));
    if (random.below(50) == 0) clock_.jump_wall_to(static_cast<WallMs>(random.below(2'000'000'000'000)));
    step();
  }
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
}

TEST_F(ForwarderTest, PowerCutsLoseOnlyReadingsYoungerThanDurableWithin) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  start();
  std::deque<MonoTime> recent;  // of the readings stored in the last second
  int lost_at_most = 0;
  for (int i = 0; i < 600; ++i) {
    const auto choice = random.below(30);
    if (choice == 0) {
      while (!recent.empty() && recent.front() <= clock_.mono_now() - options_.sealer.durable_within) {
        recent.pop_front();
      }
      lost_at_most += static_cast<int>(recent.size());
      recent.clear();
      lose_tmpfs();
      start();
    } else if (choice < 10) {
      if (const auto id = uplink_->deliver(random.below(3) != 0)) forwarder_->acked(*id);
    } else {
      store(static_cast<int>(random.below(6)));
      recent.push_back(clock_.mono_now());
    }
    if (choice % 10 == 1) cluster_answers();
    clock_.advance(milliseconds(random.below(60)));
    step();
  }
  cluster_answers();
  step();
  deliver_all();
  expect_complete(lost_at_most);
}

TEST_F(ForwarderTest, BeforeTheFirstContactTheRoutesPartitionsAreUsedAndMoreRealOnesAreTakenWhenDrained) {
  cluster_.topics["readings"] = 16;
  start();
  for (int i = 0; i < 64; ++i) store(i);
  advance_and_step(milliseconds(700));
  EXPECT_EQ(uplink_->wanted["readings"], 4);
  cluster_answers();
  EXPECT_EQ(buffer_->mapping("readings"), (PartitionMapping{4, 4}));
  step();
  deliver_all();
  expect_complete();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  EXPECT_EQ(buffer_->mapping("readings"), (PartitionMapping{16, 16}));
}

TEST_F(ForwarderTest, FewerRealPartitionsThanAssumedTakeTheBacklogInOrder) {
  cluster_.topics["readings"] = 3;
  start();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 40; ++i) store(i % 20);
    advance_and_step(milliseconds(700));
  }
  for (int i = 0; i < 40; ++i) store(i % 20);
  step();
  cluster_answers();
  step();
  for (int i = 0; i < 40; ++i) store(i % 20);
  advance_and_step(milliseconds(5));
  if (const auto id = uplink_->deliver()) forwarder_->acked(*id);
  start();  // in the midst of it
  cluster_answers();
  for (int i = 0; i < 40; ++i) store(i % 20);
  step();
  deliver_all();
  expect_complete();
  EXPECT_EQ(buffer_->mapping("readings")->existing, 3);
}

TEST_F(ForwarderTest, ADamagedBatchOnFlashIsCountedAndTheRestGoesOn) {
  start();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) store(1);
    advance_and_step(milliseconds(700));
  }
  crash();
  {
    auto database = Database::open(flash_folder_ / "flash/buffer.db").value();
    ASSERT_TRUE(database.execute(
        "UPDATE batches SET bytes = substr(bytes, 1, 80) || x'deadbeef' || substr(bytes, 85) WHERE id = 2"));
  }
  start();
  cluster_answers();
  step();
  deliver_all();
  EXPECT_EQ(metrics_.lost.value(), 20u);
  EXPECT_EQ(cluster_.all().size(), 40u);
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  expect_complete(20);
}

TEST_F(ForwarderTest, ABatchThatTheClusterRefusesIsKeptAsideAndTheRestGoesOnUnderANewEpoch) {
  cluster_.topics["readings"] = 1;
  routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings partitions=1").value()}).value();
  start();
  cluster_answers();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  const TopicPartition partition{"readings", PartitionIndex(0)};
  for (int i = 0; i < 3; ++i) {  // one in flight, two behind it
    store(1);
    advance_and_step(milliseconds(750));
  }
  forwarder_->rejected(uplink_->reject(partition), "too large");
  step();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  EXPECT_EQ(metrics_.refused.value(), 1u);
  EXPECT_EQ(cluster_.all().size(), 4u);
  expect_complete(1);
  EXPECT_TRUE(std::filesystem::exists(flash_folder_ / "flash/given-up-2.batch"));
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(1));
}

TEST_F(ForwarderTest, AFencedProducerGivesWayToANewOne) {
  start();
  cluster_answers();
  for (int i = 0; i < 12; ++i) store(i);
  advance_and_step(milliseconds(5));
  const auto before = buffer_->identity().producer_id;
  uplink_->stop();  // it forgets what was offered
  forwarder_->fenced("INVALID_PRODUCER_EPOCH");
  step();
  for (int i = 0; i < 12; ++i) store(i);
  step();
  deliver_all();
  expect_complete();
  EXPECT_NE(buffer_->identity().producer_id, before);
}

TEST_F(ForwarderTest, ATopicThatTheClusterDoesNotKnowHoldsUpNoOther) {
  routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value(),
                              parse_route("x/+ -> unknown").value()}).value();
  start();
  forwarder_->reachable(true);
  forwarder_->partition_count("readings", 4);
  for (int i = 0; i < 20; ++i) {
    ReadingView reading;
    reading.topic = "unknown";
    reading.key = "k";
    reading.received = clock_.mono_now();
    ASSERT_TRUE(intake_->store(reading, {}));
    store(1);
    advance_and_step(milliseconds(200));
    while (const auto id = uplink_->deliver()) forwarder_->acked(*id);
    step();
  }
  expect_complete();
  EXPECT_EQ(cluster_.all().size(), 20u);
  EXPECT_GT(buffer_->last_id(), BatchId(0));
}

TEST_F(ForwarderTest, AtTheBuffersCapTheMqttBrokerQueuesUntilThereIsRoom) {
  options_.buffer_bytes_max = 200'000;
  start();
  for (int i = 0; i < 400 && !paused_; ++i) {
    store_noise(2000);
    advance_and_step(milliseconds(200));
  }
  EXPECT_TRUE(paused_);
  EXPECT_GE(buffer_->used_bytes(), 200'000u);
  cluster_answers();
  step();
  deliver_all();
  EXPECT_FALSE(paused_);
  expect_complete();
}

// A file size limit stands for the full disk: the buffer's file is at the limit, the intake's are below.
TEST_F(ForwarderTest, AFullDiskKeepsReadingsInTheIntakeAndItRecoversByItself) {
  options_.intake_bytes_max = 1'000'000;
  start();
  for (int i = 0; i < 100; ++i) {
    store_noise(100'000);
    advance_and_step(milliseconds(700));
  }
  ASSERT_GT(buffer_->file_bytes(), 8'000'000u);
  const auto last = buffer_->last_id();
  signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  getrlimit(RLIMIT_FSIZE, &unlimited);
  rlimit full = unlimited;
  full.rlim_cur = buffer_->file_bytes();
  setrlimit(RLIMIT_FSIZE, &full);
  for (int i = 0; i < 50 && !paused_; ++i) {
    store_noise(50'000);
    advance_and_step(milliseconds(700));
  }
  setrlimit(RLIMIT_FSIZE, &unlimited);
  EXPECT_TRUE(paused_);
  EXPECT_EQ(buffer_->last_id(), last);
  EXPECT_GT(metrics_.buffer_errors.value(), 0u);
  advance_and_step(seconds(2));
  EXPECT_GT(buffer_->last_id(), last);
  EXPECT_FALSE(paused_);
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
}

TEST_F(ForwarderTest, FinishMovesWhatIsLeftToFlash) {
  start();
  for (int i = 0; i < 30; ++i) store(i % 3);
  ASSERT_TRUE(forwarder_->finish());
  EXPECT_TRUE(forwarder_->drained());
  lose_tmpfs();
  start();
  cluster_answers();
  step();
  deliver_all();
  expect_complete();
}

TEST_F(ForwarderTest, AnIntakeOfAnotherDataFolderIsRefusedOnlyIfItHoldsReadings) {
  start();
  store(1);
  crash();
  const auto flash = flash_folder_ / "flash";
  std::filesystem::rename(flash, flash_folder_ / "first");
  {
    auto other = FlashBuffer::open({flash}).value();  // one that has been used
  }
  auto intake = Intake::open({intake_folder_ / "intake", false, 1000}).value();
  auto buffer = FlashBuffer::open({flash}).value();
  test::ModelUplink uplink(cluster_);
  {
    Forwarder forwarder(options_, routes_, *intake, *buffer, uplink, clock_, metrics_, [](bool) {});
    const auto begun = forwarder.begin();
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, Errc::kInvalidArgument);
  }
  buffer.reset();
  ASSERT_TRUE(remove_recursively(posix_file_system(), flash));
  buffer = FlashBuffer::open({flash}).value();  // a new card: the intake's readings are its own now
  Forwarder forwarder(options_, routes_, *intake, *buffer, uplink, clock_, metrics_, [](bool) {});
  EXPECT_TRUE(forwarder.begin());
  EXPECT_EQ(intake->level().unsealed_readings, 1u);
}

}  // namespace
}  // namespace tributary
