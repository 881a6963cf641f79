#include "gateway/uplink/produce_queue.h"

#include "tests/unit/uplink/uplink_fixture.h"

namespace tributary {
namespace {

using Outcome = ProduceQueue::Outcome;

class ProduceQueueTest : public testing::Test {
 protected:
  void push(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i, ++next_)
      queue_.push(test_batch(next_, {"t", PartitionIndex(0)}, static_cast<std::int32_t>(next_)));
  }
  /// Sends all that may be sent; their ids.
  std::vector<std::int64_t> send() {
    std::vector<std::int64_t> sent;
    while (const auto* batch = queue_.sendable()) {
      sent.push_back(batch->info.id.value());
      queue_.mark_sent();
    }
    return sent;
  }
  void land(std::int64_t id, Outcome outcome) { queue_.land(BatchId(id), outcome); }
  std::vector<std::int64_t> acked() {
    std::vector<std::int64_t> ids;
    while (const auto id = queue_.take_acked()) ids.push_back(id->value());
    return ids;
  }
  using Ids = std::vector<std::int64_t>;

  ProduceQueue queue_{5};
  std::int64_t next_ = 1;
};

TEST_F(ProduceQueueTest, TheFirstBatchGoesAloneThenTheWindowOpens) {
  push(8);
  EXPECT_EQ(send(), Ids{1});
  land(1, Outcome::kAcked);
  EXPECT_EQ(acked(), Ids{1});
  EXPECT_EQ(send(), (Ids{2, 3, 4, 5, 6}));
  land(2, Outcome::kAcked);
  EXPECT_EQ(send(), Ids{7});
}

TEST_F(ProduceQueueTest, AcknowledgementsAreGivenInOrder) {
  push(4);
  send();
  land(1, Outcome::kAcked);
  EXPECT_EQ(acked(), Ids{1});
  EXPECT_EQ(send(), (Ids{2, 3, 4}));
  land(4, Outcome::kAcked);
  land(3, Outcome::kAcked);
  EXPECT_EQ(acked(), Ids{});
  land(2, Outcome::kAcked);
  EXPECT_EQ(acked(), (Ids{2, 3, 4}));
}

TEST_F(ProduceQueueTest, AfterAFailureTheFlightLandsAndTheOldestGoesAlone) {
  push(7);
  send();
  land(1, Outcome::kAcked);
  EXPECT_EQ(send(), (Ids{2, 3, 4, 5, 6}));
  land(3, Outcome::kFailed);
  EXPECT_EQ(send(), Ids{});
  land(2, Outcome::kAcked);
  land(4, Outcome::kFailed);
  land(5, Outcome::kFailed);
  EXPECT_EQ(send(), Ids{});
  land(6, Outcome::kAcked);
  EXPECT_EQ(send(), Ids{3});
  land(3, Outcome::kAcked);
  EXPECT_EQ(send(), (Ids{4, 5, 7}));
  EXPECT_EQ(acked(), (Ids{1, 2, 3}));
  for (const std::int64_t id : {4, 5, 7}) land(id, Outcome::kAcked);
  EXPECT_EQ(acked(), (Ids{4, 5, 6, 7}));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ProduceQueueTest, ARejectedBatchHaltsOnceAllBeforeItAreAcknowledged) {
  push(4);
  send();
  land(1, Outcome::kAcked);
  EXPECT_EQ(send(), (Ids{2, 3, 4}));
  land(3, Outcome::kRejected);
  land(4, Outcome::kFailed);
  EXPECT_EQ(queue_.rejected(), std::nullopt);
  land(2, Outcome::kFailed);
  EXPECT_EQ(send(), Ids{2});  // and nothing behind the gap
  EXPECT_EQ(acked(), Ids{1});
  land(2, Outcome::kAcked);
  EXPECT_EQ(send(), Ids{});
  EXPECT_EQ(acked(), Ids{2});
  EXPECT_EQ(queue_.rejected(), BatchId(3));
  EXPECT_TRUE(queue_.halt().empty());
  EXPECT_TRUE(queue_.empty());
  push(1);  // of the same epoch: behind the gap
  EXPECT_TRUE(queue_.empty());
  queue_.push(test_batch(9, {"t", PartitionIndex(0)}, 0, 1, ProducerEpoch(1)));
  EXPECT_EQ(send(), Ids{9});
}

TEST_F(ProduceQueueTest, WhatIsAcknowledgedBehindAFailedBatchIsToldByAHalt) {
  push(5);
  send();
  land(1, Outcome::kAcked);
  send();
  land(2, Outcome::kFailed);
  land(3, Outcome::kFailed);
  land(4, Outcome::kAcked);
  land(5, Outcome::kAcked);
  EXPECT_EQ(acked(), Ids{1});
  EXPECT_EQ(queue_.oldest(), BatchId(2));
  EXPECT_EQ(queue_.halt(), (std::vector<BatchId>{BatchId(4), BatchId(5)}));
}

TEST_F(ProduceQueueTest, WhatLandsAfterAHaltIsOfNoMatter) {
  push(3);
  send();
  land(1, Outcome::kAcked);
  EXPECT_EQ(send(), (Ids{2, 3}));
  EXPECT_EQ(acked(), Ids{1});
  EXPECT_TRUE(queue_.halt().empty());
  queue_.push(test_batch(9, {"t", PartitionIndex(0)}, 0, 1, ProducerEpoch(1)));
  EXPECT_EQ(send(), Ids{});
  land(2, Outcome::kFailed);
  land(3, Outcome::kAcked);
  EXPECT_EQ(send(), Ids{9});
}

}  // namespace
}  // namespace tributary
