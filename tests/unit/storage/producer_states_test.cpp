#include "cluster/storage/producer_states.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

class ProducerStatesTest : public testing::Test {
 protected:
  static BatchHeader Header(int epoch, std::int32_t sequence, std::int32_t count) {
    BatchHeader header;
    header.producer_id = ProducerId(1);
    header.producer_epoch = ProducerEpoch(static_cast<std::int16_t>(epoch));
    header.base_sequence = Sequence(sequence);
    header.last_offset_delta = count - 1;
    header.record_count = count;
    return header;
  }
  /// "new", "duplicate [a,b)", "stale", or the error's name.
  std::string Judge(int epoch, std::int32_t sequence, std::int32_t count = 1) {
    const auto verdict = judge_sequence(states_.find(ProducerId(1)), Header(epoch, sequence, count));
    if (!verdict) return std::string(name_of(verdict.error().code));
    switch (verdict->kind) {
      case SequenceVerdict::Kind::kNew: return "new";
      case SequenceVerdict::Kind::kDuplicate:
        return fmt::format("duplicate [{},{})", verdict->base_offset, verdict->next_offset);
      case SequenceVerdict::Kind::kStale: return fmt::format("stale <{}", verdict->next_offset);
    }
    return "?";
  }
  void Apply(int epoch, std::int32_t sequence, std::int32_t count = 1) {
    auto header = Header(epoch, sequence, count);
    header.base_offset = next_offset_;
    states_.apply(header);
    next_offset_ = header.next_offset();
  }

  ProducerStates states_{100};
  Offset next_offset_{0};
};

TEST_F(ProducerStatesTest, AnUnknownProducerMayStartAnywhere) {
  EXPECT_EQ(Judge(3, 42), "new");
}

TEST_F(ProducerStatesTest, WhatWasPerhapsNeverSentIsNoDuplicate) {
  Apply(0, 42);
  EXPECT_EQ(Judge(0, 41), "out of order sequence");
  EXPECT_EQ(Judge(0, 42), "duplicate [0,1)");
  EXPECT_EQ(Judge(0, 43), "new");
  EXPECT_EQ(Judge(0, 44), "out of order sequence");
}

TEST_F(ProducerStatesTest, TheFiveNewestBatchesHaveTheirOffsets) {
  for (int i = 0; i < 7; ++i) Apply(0, 10 * i, 10);
  EXPECT_EQ(Judge(0, 0, 10), "stale <20");
  EXPECT_EQ(Judge(0, 10, 10), "stale <20");
  for (int i = 2; i < 7; ++i)
    EXPECT_EQ(Judge(0, 10 * i, 10), fmt::format("duplicate [{},{})", 10 * i, 10 * i + 10));
}

TEST_F(ProducerStatesTest, APartOfWhatIsThereIsStaleAndAnOverlapIsOutOfOrder) {
  Apply(0, 0, 10);
  Apply(0, 10, 10);
  EXPECT_EQ(Judge(0, 3, 2), "stale <10");
  EXPECT_EQ(Judge(0, 5, 10), "stale <20");
  EXPECT_EQ(Judge(0, 15, 10), "out of order sequence");
}

TEST_F(ProducerStatesTest, ANewEpochStartsAtZeroAndForgetsTheOldOne) {
  Apply(0, 0, 10);
  EXPECT_EQ(Judge(1, 10), "out of order sequence");
  EXPECT_EQ(Judge(1, 0), "new");
  Apply(1, 0);
  EXPECT_EQ(Judge(0, 10), "fenced");
  EXPECT_EQ(Judge(0, 0, 10), "fenced");
  EXPECT_EQ(Judge(1, 1), "new");
  EXPECT_EQ(Judge(1, 0), "duplicate [10,11)");
}

TEST_F(ProducerStatesTest, SequencesWrapToZero) {
  constexpr std::int32_t kLast = INT32_MAX;
  Apply(0, kLast - 4, 3);           // -4, -3, -2
  EXPECT_EQ(Judge(0, kLast - 1, 5), "new");
  Apply(0, kLast - 1, 5);           // -1, last, 0, 1, 2
  EXPECT_EQ(Judge(0, kLast - 1, 5), "duplicate [3,8)");
  EXPECT_EQ(Judge(0, 3), "new");
  Apply(0, 3);
  EXPECT_EQ(Judge(0, kLast - 4, 3), "duplicate [0,3)");
  EXPECT_EQ(Judge(0, kLast, 2), "stale <8");
  EXPECT_EQ(Judge(0, kLast - 5), "out of order sequence");
  EXPECT_EQ(Judge(0, 5), "out of order sequence");
}

TEST_F(ProducerStatesTest, ReplayOverASnapshotGivesTheSameVerdicts) {
  for (int i = 0; i < 3; ++i) Apply(2, i);
  ProducerStates restored{100};
  restored.restore(ProducerId(1), *states_.find(ProducerId(1)));
  auto next = Header(2, 3, 1);
  next.base_offset = Offset(3);
  restored.apply(next);
  states_.apply(next);
  EXPECT_EQ(restored.find(ProducerId(1))->run_records, 4);
  EXPECT_EQ(restored.find(ProducerId(1))->batches, states_.find(ProducerId(1))->batches);
}

}  // namespace
}  // namespace tributary
