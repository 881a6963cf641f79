#include "tests/unit/buffer/flash_buffer_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "common/sqlite/database.h"

namespace tributary {
namespace {

TEST_F(FlashBufferTest, TheIdentityIsDrawnOnceAndKept) {
  open();
  EXPECT_TRUE(buffer_->fresh());
  const auto identity = buffer_->identity();
  EXPECT_GE(identity.producer_id.value(), std::int64_t{1} << 61);
  EXPECT_LT(identity.producer_id.value(), std::int64_t{1} << 62);
  EXPECT_EQ(identity.epoch, ProducerEpoch(0));
  open();
  EXPECT_FALSE(buffer_->fresh());
  EXPECT_EQ(buffer_->identity().gateway_id, identity.gateway_id);
  EXPECT_EQ(buffer_->identity().producer_id, identity.producer_id);
  EXPECT_EQ(buffer_->identity().intake_nonce, identity.intake_nonce);
}

TEST_F(FlashBufferTest, ABegunEpochIsKeptAndItsNonceIsNew) {
  open();
  const auto before = buffer_->identity();
  ASSERT_TRUE(buffer_->begin_epoch());
  open();
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(1));
  EXPECT_EQ(buffer_->identity().producer_id, before.producer_id);
  EXPECT_NE(buffer_->identity().intake_nonce, before.intake_nonce);
}

TEST_F(FlashBufferTest, AnEpochThatCannotGrowGivesWayToANewProducer) {
  open();
  const auto before = buffer_->identity();
  buffer_.reset();
  {
    auto database = Database::open(path()).value();
    ASSERT_TRUE(database.execute("UPDATE identity SET epoch = 32766"));
  }
  open();
  ASSERT_TRUE(buffer_->begin_epoch());
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(0));
  EXPECT_NE(buffer_->identity().producer_id, before.producer_id);
  EXPECT_EQ(buffer_->identity().gateway_id, before.gateway_id);
}

TEST_F(FlashBufferTest, BatchesComeBackByteForByteUntilTheyAreRemoved) {
  open();
  const auto one = make_batch(1, partition("a", 0), Sequence(0), 3);
  const auto two = make_batch(2, partition("b", 1), Sequence(10), 500);
  ASSERT_TRUE(buffer_->add({one, two}));
  open();
  EXPECT_EQ(buffer_->first_id(), BatchId(1));
  EXPECT_EQ(buffer_->last_id(), BatchId(2));
  EXPECT_EQ(buffer_->oldest_received_ms(), 5001);
  const auto found = infos();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].destination, partition("b", 1));
  EXPECT_EQ(found[1].base_sequence, Sequence(10));
  EXPECT_EQ(found[1].size, static_cast<std::int32_t>(two.bytes.size()));
  EXPECT_EQ(to_bytes(buffer_->load(BatchId(2)).value().bytes.view()), to_bytes(two.bytes.view()));
  EXPECT_EQ(infos(1).size(), 1u);
  EXPECT_EQ(infos(0, 1).size(), 1u);
  ASSERT_TRUE(buffer_->remove({BatchId(1), BatchId(77)}));
  EXPECT_EQ(buffer_->first_id(), BatchId(2));
  EXPECT_EQ(buffer_->load(BatchId(1)).error().code, Errc::kNotFound);
  ASSERT_TRUE(buffer_->remove({BatchId(2)}));
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
  EXPECT_FALSE(buffer_->oldest_received_ms());
}

TEST_F(FlashBufferTest, SpaceIsUsedAgainAndGivenBack) {
  open();
  std::vector<BatchId> ids;
  for (std::int64_t id = 1; id <= 100; ++id) {
    ASSERT_TRUE(buffer_->add({make_batch(id, partition("a", 0), Sequence(0), 100, 200)}));
    ids.emplace_back(id);
  }
  const auto full = buffer_->used_bytes();
  EXPECT_GT(full, 2'000'000u);
  EXPECT_FALSE(buffer_->give_space_back().value());
  EXPECT_EQ(buffer_->file_bytes(), full);
  ASSERT_TRUE(buffer_->remove(ids));
  EXPECT_LT(buffer_->used_bytes(), 30'000u);
  while (buffer_->give_space_back().value()) {
  }
  EXPECT_LT(std::filesystem::file_size(path()), 400'000u);
}

TEST_F(FlashBufferTest, RehomingRestampsInOrderUnderANewEpochWithoutRewriting) {
  open();
  ASSERT_TRUE(buffer_->set_mapping("t", {4, 4}));
  ASSERT_TRUE(buffer_->add({make_batch(1, partition("t", 1), Sequence(7), 3),
                            make_batch(2, partition("t", 3), Sequence(40), 5),
                            make_batch(3, partition("other", 3), Sequence(2), 1),
                            make_batch(4, partition("t", 1), Sequence(10), 2)}));
  const auto before = buffer_->identity();
  ASSERT_TRUE(buffer_->rehome("t", {4, 2}));
  open();
  EXPECT_EQ(buffer_->identity().epoch, before.epoch + 1);
  EXPECT_EQ(buffer_->mapping("t"), (PartitionMapping{4, 2}));
  const auto found = infos();
  ASSERT_EQ(found.size(), 4u);
  for (const auto index : {0u, 1u, 3u}) EXPECT_EQ(found[index].destination, partition("t", 1));
  EXPECT_EQ(found[0].base_sequence, Sequence(0));
  EXPECT_EQ(found[1].base_sequence, Sequence(3));
  EXPECT_EQ(found[3].base_sequence, Sequence(8));
  EXPECT_EQ(found[2].destination, partition("other", 3));
  EXPECT_EQ(found[2].epoch, ProducerEpoch(2));
  const auto loaded = buffer_->load(BatchId(2)).value();
  const auto header = validate_stored_batch(loaded.bytes.view()).value();
  EXPECT_EQ(header.base_sequence, Sequence(3));
  EXPECT_EQ(header.producer_epoch, buffer_->identity().epoch);
  EXPECT_EQ(header.producer_id, buffer_->identity().producer_id);
  EXPECT_EQ(header.record_count, 5);
  const auto next = buffer_->continuations().value();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].destination, partition("t", 1));
  EXPECT_EQ(next[0].sequence, Sequence(10));
  ASSERT_TRUE(buffer_->rehome("t", {4, 1}));  // and once more, from the restamped state
  EXPECT_EQ(infos()[3].destination, partition("t", 0));
  EXPECT_EQ(infos()[3].base_sequence, Sequence(8));
}

TEST_F(FlashBufferTest, ADamagedBatchIsRefusedAndTheOthersAreNot) {
  open();
  ASSERT_TRUE(buffer_->add({make_batch(1, partition("a", 0), Sequence(0), 50),
                            make_batch(2, partition("a", 0), Sequence(50), 50)}));
  buffer_.reset();
  {
    auto database = Database::open(path()).value();
    ASSERT_TRUE(database.execute(
        "UPDATE batches SET bytes = substr(bytes, 1, 1000) || x'00112233' || substr(bytes, 1005) WHERE id = 1"));
  }
  open();
  const auto damaged = buffer_->load(BatchId(1));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::kCorrupt);
  EXPECT_NE(damaged.error().message.find("batch 1"), std::string::npos);
  EXPECT_TRUE(buffer_->load(BatchId(2)));
}

TEST_F(FlashBufferTest, RefusesALockedFolderGarbageAndAnotherVersionAndKeepsTheFile) {
  open();
  EXPECT_EQ(FlashBuffer::open(options_).error().code, Errc::kLocked);
  buffer_.reset();
  {
    auto database = Database::open(path()).value();
    ASSERT_TRUE(database.execute("PRAGMA user_version=2"));
  }
  EXPECT_EQ(FlashBuffer::open(options_).error().code, Errc::kUnsupported);
  std::ofstream(path(), std::ios::trunc) << std::string(50'000, 'g');
  const auto garbage = FlashBuffer::open(options_);
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code, Errc::kCorrupt);
  EXPECT_NE(garbage.error().message.find(path()), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(path()), 50'000u);
}

// A file size limit stands for the full disk: SQLite meets the same failing write in mid-transaction.
TEST_F(FlashBufferTest, AFailingWriteRefusesTheAdditionAndTheNextOneSucceeds) {
  open();
  ASSERT_TRUE(buffer_->add({make_batch(1, partition("a", 0), Sequence(0), 10)}));
  signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  getrlimit(RLIMIT_FSIZE, &unlimited);
  rlimit tiny = unlimited;
  tiny.rlim_cur = buffer_->file_bytes() + 20'000;
  setrlimit(RLIMIT_FSIZE, &tiny);
  const auto big = make_batch(2, partition("new", 3), Sequence(10), 500, 200);
  const auto refused = buffer_->add({big});
  setrlimit(RLIMIT_FSIZE, &unlimited);
  ASSERT_FALSE(refused);
  EXPECT_EQ(buffer_->last_id(), BatchId(1));
  ASSERT_TRUE(buffer_->add({big}));
  open();
  EXPECT_EQ(infos().size(), 2u);
  EXPECT_EQ(infos()[1].destination, partition("new", 3));
  EXPECT_TRUE(buffer_->load(BatchId(2)));
}

TEST_F(FlashBufferTest, KillsAtRandomMomentsLeaveWholeTransactions) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  open();
  buffer_.reset();
  std::int64_t last = 0;
  for (int round = 0; round < 8; ++round) {
    int reports[2];
    ASSERT_EQ(pipe(reports), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto buffer = FlashBuffer::open(options_).value();
      for (std::int64_t id = last + 1;; id += 3) {
        std::vector<SealedBatch> batches;
        for (int i = 0; i < 3; ++i) {
          batches.push_back(make_batch(id + i, partition("a", i), Sequence(0), 20, 500));
        }
        if (!buffer->add(batches)) _exit(1);
        const std::int64_t added = id + 2;
        if (write(reports[1], &added, sizeof added) != sizeof added) _exit(1);
        if (id > 30 && !buffer->remove({BatchId(id - 30), BatchId(id - 29), BatchId(id - 28)})) _exit(1);
      }
    }
    close(reports[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + random.below(60)));  // the random moment
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    std::int64_t reported = last;
    for (std::int64_t id = 0; read(reports[0], &id, sizeof id) == sizeof id;) reported = id;
    close(reports[0]);
    open();
    EXPECT_GE(buffer_->last_id().value(), reported);
    EXPECT_EQ(buffer_->last_id().value() % 3, 0);
    const auto found = infos(0, 1'000'000);
    ASSERT_EQ(found.size() % 3, 0u);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].id.value() % 3, static_cast<std::int64_t>(i + 1) % 3);  // whole triples
      EXPECT_TRUE(buffer_->load(found[i].id));
    }
    last = buffer_->last_id().value();
    buffer_.reset();
  }
  EXPECT_GT(last, 0);
}

}  // namespace
}  // namespace tributary
