// What goes to flash, and flash that is full or damaged.

#include "tests/unit/pipeline/forwarder_fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/sqlite/database.h"
#include "tests/support/damage.h"
#include "tests/support/sqlite_fault.h"

namespace tributary {
namespace {

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

test::SqliteFault unreadable_page(const test::FilePage& page) {
  const auto first = static_cast<off_t>(page.position);
  const auto end = first + static_cast<off_t>(page.content.size());
  return {test::SqliteFault::Kind::kRead, "buffer.db", first, end, EIO};
}

TEST_F(ForwarderTest, ABatchWithADamagedPageIsGivenUpAndHoldsUpNothing) {
  start();
  for (int i = 0; i < 3; ++i) {
    store_noise(50'000);
    advance_and_step(milliseconds(700));
  }
  const auto bytes = buffer_->load(BatchId(2)).value().bytes;
  crash();
  auto page = test::page_with(buffer_path(), bytes.view().subspan(20'000, 4096));
  page.content.assign(page.content.size(), 0xff);
  test::write_page(buffer_path(), page);
  start();
  cluster_answers();
  step();
  deliver_all();
  EXPECT_EQ(metrics_.lost.value(), 1u);
  expect_complete(1);
  store(0);
  advance_and_step(milliseconds(5));
  deliver_all();
  lose_tmpfs();  // the id of the one that is marked is not given again
  start();
  store(0);
  advance_and_step(milliseconds(700));
  EXPECT_TRUE(forwarder_->drained());
  cluster_answers();
  step();
  deliver_all();
  expect_complete(1);
}

TEST_F(ForwarderTest, APageThatTheCardDoesNotReadKeepsNothingFromBeingMadeDurableAndIsGivenUpInTheEnd) {
  start();
  const auto [a, b] = two_devices_of_different_partitions();
  for (int i = 0; i < 3; ++i) {
    store_noise(50'000, a);
    advance_and_step(milliseconds(700));
  }
  const auto bytes = buffer_->load(BatchId(1)).value().bytes;
  const auto page = test::page_with(buffer_path(), bytes.view().subspan(20'000, 4096));
  start();  // with an empty cache
  {
    const auto unreadable = unreadable_page(page);
    cluster_answers();
    step();
    for (int i = 0; i < 5; ++i) {
      store(b);
      advance_and_step(milliseconds(700));
      EXPECT_TRUE(forwarder_->drained()) << i;  // nothing is on tmpfs for longer
    }
    EXPECT_GT(metrics_.buffer_errors.value(), 0u);
    EXPECT_EQ(metrics_.lost.value(), 0u);
    deliver_all();
  }
  EXPECT_EQ(metrics_.lost.value(), 1u);
  expect_complete(1);
}

TEST_F(ForwarderTest, ACardThatDoesNotAnswerForAWhileLosesNothing) {
  start();
  for (int i = 0; i < 3; ++i) {
    store_noise(50'000);
    advance_and_step(milliseconds(700));
  }
  const auto bytes = buffer_->load(BatchId(1)).value().bytes;
  const auto page = test::page_with(buffer_path(), bytes.view().subspan(20'000, 4096));
  start();
  {
    const auto unreadable = unreadable_page(page);
    cluster_answers();
    for (int i = 0; i < 8; ++i) advance_and_step(seconds(1));
  }
  deliver_all();
  EXPECT_EQ(metrics_.lost.value(), 0u);
  expect_complete();
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

// Batch ids are the gateway's, not a partition's: a partition that has read the flash to its end may still
// hold batches on tmpfs whose ids are smaller than another partition's newest there.
TEST_F(ForwarderTest, ABatchSpilledBehindAnotherPartitionsNewerOneIsOfferedInItsTurn) {
  start();
  const auto [a, b] = two_devices_of_different_partitions();
  for (int i = 0; i < 6; ++i) {
    store(a);
    advance_and_step(milliseconds(700));
  }
  ASSERT_EQ(buffer_->last_id(), BatchId(6));
  store_noise(200'000, b);
  clock_.advance(milliseconds(300));
  store_noise(200'000, b);
  store(a);
  store_noise(200'000, b);
  step();
  advance_and_step(milliseconds(400));
  ASSERT_EQ(buffer_->last_id(), BatchId(9));  // b's; a's seventh is the eighth, on tmpfs
  cluster_answers();
  step();
  advance_and_step(milliseconds(300));
  deliver_all();
  store(a);
  advance_and_step(milliseconds(5));
  deliver_all();
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

// What is refused goes first: it makes the room that the others' new stamps need.
TEST_F(ForwarderTest, ABatchRefusedWhileTheDiskIsFullIsGivenUpAndTheRestGoesOn) {
  cluster_.topics["readings"] = 1;
  routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings partitions=1").value()}).value();
  start();
  for (int i = 0; i < 20; ++i) {
    store_noise(100'000);
    advance_and_step(milliseconds(700));
  }
  cluster_answers();
  step();
  signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  getrlimit(RLIMIT_FSIZE, &unlimited);
  rlimit full = unlimited;
  full.rlim_cur = buffer_->file_bytes();
  setrlimit(RLIMIT_FSIZE, &full);
  store_noise(50'000);
  advance_and_step(milliseconds(700));
  EXPECT_FALSE(forwarder_->drained());
  const auto refused = uplink_->give_back({"readings", PartitionIndex(0)});
  forwarder_->setback(refused.value(), Setback::kRefused, "too large");
  deliver_all();
  setrlimit(RLIMIT_FSIZE, &unlimited);
  expect_complete(1);
}

// The readings of batches that were sealed together have different ages: no batch waits for another's.
TEST_F(ForwarderTest, AfterACrashWhatIsDueGoesToFlashAtOnceWhateverItsId) {
  start();
  const auto [a, b] = two_devices_of_different_partitions();
  store(b);
  clock_.advance(milliseconds(600));
  store(a);
  {
    const test::SqliteFault full(test::SqliteFault::Kind::kWrite, "buffer.db", 0, 1 << 30, ENOSPC);
    advance_and_step(milliseconds(100));
    ASSERT_EQ(intake_->level().sealed_batches, 2u);
  }
  start();
  step();
  EXPECT_TRUE(forwarder_->drained());
}

TEST_F(ForwarderTest, FinishMovesALongBacklogToFlash) {
  start();
  for (int i = 0; i < 80; ++i) store_noise(100'000);
  ASSERT_TRUE(forwarder_->finish());
  EXPECT_TRUE(forwarder_->drained());
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

}  // namespace
}  // namespace tributary
