// Pages of buffer.db that a worn-out card has changed, and a disk too full to remove what is there.

#include "tests/support/damage.h"
#include "tests/support/sqlite_fault.h"
#include "tests/unit/buffer/flash_buffer_fixture.h"

namespace tributary {
namespace {

using Ids = std::vector<BatchId>;

/// What a damaged page holds: nothing, an erased block, or what was there long ago.
enum class Damage { kZeros, kOnes, kStale };

class DamagedPagesTest : public FlashBufferTest, public testing::WithParamInterface<Damage> {
 protected:
  /// Three batches, and a page in the midst of the second one's is not what was written.
  void add_three_and_damage_the_second() {
    open();
    for (std::int64_t id = 1; id <= 3; ++id) {
      batches_.push_back(make_batch(id, partition("a", 0), Sequence(static_cast<std::int32_t>(id) * 100), 100, 200));
    }
    scatter_free_pages();
    ASSERT_TRUE(buffer_->add(batches_));
    ASSERT_TRUE(buffer_->remove(others_));
    buffer_.reset();
    const auto stale = test::page_with(path(), bytes_in_the_midst_of(batches_[2]));
    auto page = test::page_with(path(), bytes_in_the_midst_of(batches_[1]));
    ASSERT_NE(page.position, stale.position);
    switch (GetParam()) {
      case Damage::kZeros: page.content.assign(page.content.size(), 0); break;
      case Damage::kOnes: page.content.assign(page.content.size(), 0xff); break;
      case Damage::kStale: page.content = stale.content; break;  // it points into the third batch
    }
    test::write_page(path(), page);
    open();
  }
  /// So that no page of a batch follows the former one, whence SQLite could tell what it is.
  void scatter_free_pages() {
    std::vector<SealedBatch> small;
    Ids every_other;
    for (std::int64_t id = 1001; id <= 1200; ++id) {
      small.push_back(make_batch(id, partition("b", 0), Sequence(0), 1, 700));
      (id % 2 == 0 ? every_other : others_).emplace_back(id);
    }
    ASSERT_TRUE(buffer_->add(small));
    ASSERT_TRUE(buffer_->remove(every_other));
  }
  static ByteView bytes_in_the_midst_of(const SealedBatch& batch) {
    return batch.bytes.view().subspan(batch.bytes.size() / 2, 4096);
  }
  Ids ids() {
    Ids found;
    for (const auto& info : infos()) found.push_back(info.id);
    return found;
  }
  void expect_sound(std::size_t index) {
    const auto loaded = buffer_->load(batches_[index].info.id);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(to_bytes(loaded->bytes.view()), to_bytes(batches_[index].bytes.view()));
  }

  std::vector<SealedBatch> batches_;
  Ids others_;
};

TEST_P(DamagedPagesTest, TheBatchCanBeGivenUpAndTheOthersStaySound) {
  add_three_and_damage_the_second();
  EXPECT_EQ(buffer_->load(BatchId(2)).error().code, Errc::kCorrupt);
  const auto kept = buffer_->give_up({BatchId(2)});
  ASSERT_TRUE(kept) << kept.error().message;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(ids(), (Ids{BatchId(1), BatchId(3)}));
    EXPECT_EQ(buffer_->load(BatchId(2)).error().code, Errc::kNotFound);
    expect_sound(0);
    expect_sound(2);
    open();
  }
  // What is freed from now on is used again, and none of it was the third's.
  ASSERT_TRUE(buffer_->rehome("a", {1, 1}));
  ASSERT_TRUE(buffer_->remove({BatchId(1)}));
  batches_.push_back(make_batch(4, partition("a", 0), Sequence(400), 100, 400));
  ASSERT_TRUE(buffer_->add({batches_[3]}));
  EXPECT_EQ(ids(), (Ids{BatchId(3), BatchId(4)}));
  EXPECT_TRUE(buffer_->load(BatchId(3)));
  expect_sound(3);
}

TEST_P(DamagedPagesTest, TheNewestIdIsNotGivenAgainThoughItsBatchIsGivenUp) {
  add_three_and_damage_the_second();
  ASSERT_TRUE(buffer_->remove({BatchId(1), BatchId(3)}));
  ASSERT_TRUE(buffer_->give_up({BatchId(2)}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(buffer_->first_id(), BatchId(0));
    EXPECT_EQ(buffer_->last_id(), BatchId(0));
    EXPECT_FALSE(buffer_->oldest_received_ms());
    EXPECT_EQ(buffer_->last_id_taken(), BatchId(2));
    open();
  }
}

INSTANTIATE_TEST_SUITE_P(All, DamagedPagesTest,
                         testing::Values(Damage::kZeros, Damage::kOnes, Damage::kStale));

/// Damage that SQLite sees when it follows the pages.
class BrokenChainTest : public DamagedPagesTest {};

TEST_P(BrokenChainTest, AnAcknowledgedBatchHoldsUpNoOthersRemoval) {
  add_three_and_damage_the_second();
  const auto removed = buffer_->remove({BatchId(1), BatchId(2), BatchId(3)});
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(ids(), Ids{});
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
  ASSERT_TRUE(buffer_->remove({BatchId(2)}));  // once more, as after a crash before this was noted
  EXPECT_EQ(buffer_->last_id_taken(), BatchId(2));
}

INSTANTIATE_TEST_SUITE_P(All, BrokenChainTest, testing::Values(Damage::kZeros, Damage::kOnes));

TEST_F(FlashBufferTest, WhatIsGivenUpIsKeptAsideAndGoesEvenIfThatCannotBe) {
  open();
  const auto one = make_batch(1, partition("a", 0), Sequence(0), 10);
  ASSERT_TRUE(buffer_->add({one, make_batch(2, partition("a", 0), Sequence(10), 10)}));
  const auto kept = options_.folder + "/given-up-1.batch";
  ASSERT_TRUE(std::filesystem::create_directory(options_.folder + "/given-up-2.batch.tmp"));
  EXPECT_EQ(buffer_->give_up({BatchId(1), BatchId(2)}).value(), 1u);
  EXPECT_EQ(buffer_->last_id_taken(), BatchId(0));
  EXPECT_EQ(read_file(posix_file_system(), kept, 1 << 20).value(), to_bytes(one.bytes.view()));
}

TEST_F(FlashBufferTest, ADiskTooFullForTheJournalOfAllRemovalsTakesThemInParts) {
  open();
  Ids ids;
  std::vector<SealedBatch> batches;
  for (std::int64_t id = 1; id <= 2000; ++id) {
    batches.push_back(make_batch(id, partition("a", 0), Sequence(0), 1, 700));
    ids.emplace_back(id);
  }
  ASSERT_TRUE(buffer_->add(batches));
  {
    const test::SqliteFault full(test::SqliteFault::Kind::kWrite, "-journal", 30'000, 1 << 30, ENOSPC);
    const auto removed = buffer_->remove(ids);
    ASSERT_TRUE(removed) << removed.error().message;
  }
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
  open();
  EXPECT_EQ(buffer_->last_id(), BatchId(0));
}

}  // namespace
}  // namespace tributary
