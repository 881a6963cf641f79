// The way of readings: healthy, through outages, crashes and power cuts.

#include "tests/unit/pipeline/forwarder_fixture.h"

namespace tributary {
namespace {

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

TEST_F(ForwarderTest, RandomCrashesOutagesSetbacksAndLostAnswersLoseAndDoubleNothing) {
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
        if (up && random.below(10) == 0) {
          const TopicPartition partition{"readings", PartitionIndex(static_cast<std::int32_t>(random.below(4)))};
          if (const auto id = uplink_->give_back(partition)) {
            forwarder_->setback(*id, random.below(2) == 0 ? Setback::kGap : Setback::kFenced, "at random");
          }
        } else if (up) {
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

TEST_F(ForwarderTest, AnIntakeOfAnotherDataFolderIsRefusedOnlyIfItHoldsReadings) {
  start();
  store(1);
  crash();
  const auto flash = flash_folder_ / "flash";
  std::filesystem::rename(flash, flash_folder_ / "first");
  {
    auto other = FlashBuffer::open({flash}).value();  // one that has been used
  }
  auto intake = Intake::open({intake_folder_ / "intake", false}).value();
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
