#pragma once
// Batches for tests, and a recorder of what the core wants done.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/uplink/uplink_core.h"

namespace tributary {

using namespace std::chrono_literals;

inline SealedBatch test_batch(std::int64_t id, const TopicPartition& destination, std::int32_t base_sequence,
                              std::int32_t records = 1, ProducerEpoch epoch = ProducerEpoch(0),
                              std::size_t size = 100) {
  SealedBatch batch;
  batch.info.id = BatchId(id);
  batch.info.destination = destination;
  batch.info.producer_id = ProducerId(1 << 20);
  batch.info.epoch = epoch;
  batch.info.base_sequence = Sequence(base_sequence);
  batch.info.record_count = records;
  batch.bytes = SharedBytes(Bytes(size, static_cast<std::uint8_t>(id)));
  batch.info.size = static_cast<std::int32_t>(size);
  return batch;
}

class RecordedActions final : public UplinkActions {
 public:
  struct Produce {
    UplinkRequestId id;
    BrokerId leader;
    std::vector<SealedBatchInfo> batches;
    std::size_t bytes = 0;
  };
  void send_produce(UplinkRequestId id, BrokerId leader, const std::vector<const SealedBatch*>& batches) override {
    Produce produce{id, leader, {}, 0};
    for (const auto* batch : batches) {
      produce.batches.push_back(batch->info);
      produce.bytes += batch->bytes.size();
    }
    produces.push_back(std::move(produce));
  }
  void send_metadata(UplinkRequestId id, const std::vector<std::string>& topics) override {
    metadata.emplace_back(id, topics);
  }
  void send_create_topic(UplinkRequestId id, const std::string& topic, std::int32_t partitions) override {
    creations.emplace_back(id, topic, partitions);
  }
  void acked(BatchId id) override { acks.push_back(id.value()); }
  void setback(BatchId id, Setback setback, const std::string& reason) override {
    setbacks.push_back({id.value(), setback, reason, acks.size()});
  }
  void partition_count(const std::string& topic, std::int32_t count) override { counts.emplace_back(topic, count); }
  void reachable(bool reachable) override { reachables.push_back(reachable); }
  void say(bool, const std::string& text) override { said.push_back(text); }

  std::vector<Produce> produces;
  std::vector<std::pair<UplinkRequestId, std::vector<std::string>>> metadata;
  std::vector<std::tuple<UplinkRequestId, std::string, std::int32_t>> creations;
  std::vector<std::int64_t> acks;
  struct GivenBack {
    std::int64_t id;
    Setback setback;
    std::string reason;
    std::size_t acks_before;
  };
  std::vector<GivenBack> setbacks;
  std::vector<std::pair<std::string, std::int32_t>> counts;
  std::vector<bool> reachables;
  std::vector<std::string> said;
};

inline const TopicPartition kFirst{"readings", PartitionIndex(0)};
inline const TopicPartition kSecond{"readings", PartitionIndex(1)};

/// The core, answered by hand at times that the test chooses.
class UplinkCoreTest : public testing::Test {
 protected:
  using Ids = std::vector<std::int64_t>;

  void offer(std::int64_t id, const TopicPartition& destination = kFirst, std::size_t size = 100,
             std::int32_t records = 1) {
    core_.offer(now_, test_batch(id, destination, static_cast<std::int32_t>(id), records, ProducerEpoch(0), size));
  }
  void tick() { core_.tick(now_); }
  /// Ticks at the times that the core asks for, until `by` has passed.
  void run(Duration by) {
    const auto end = now_ + by;
    for (int steps = 0;; ++steps) {
      ASSERT_LT(steps, 10'000) << "spinning";
      tick();
      const auto next = core_.next_time();
      ASSERT_GT(next, now_) << "asks for a time that has passed";
      if (next > end) break;
      now_ = next;
    }
    now_ = end;
    tick();
  }
  /// Answers the metadata request that is under way.
  void metadata(std::vector<TopicView> topics) {
    ASSERT_FALSE(actions_.metadata.empty());
    const auto id = actions_.metadata.back().first;
    core_.metadata_done(now_, id, std::move(topics));
    tick();
  }
  void metadata_fails() {
    core_.metadata_done(now_, actions_.metadata.back().first, fail(Errc::kTimeout, "no answer in time"));
    tick();
  }
  void reach(std::vector<BrokerId> leaders = {BrokerId(0), BrokerId(0)}) {
    core_.want_topic(now_, "readings", 2);
    tick();
    metadata({{"readings", ErrorCode::kNone, std::move(leaders)}});
  }
  void answer(const RecordedActions::Produce& produce, ErrorCode code = ErrorCode::kNone) {
    std::vector<ProduceOutcome> outcomes;
    for (const auto& batch : produce.batches) outcomes.push_back({batch.destination, code, "because"});
    core_.produce_done(now_, produce.id, outcomes);
    tick();
  }
  RecordedActions::Produce last() { return actions_.produces.back(); }

  UplinkRequestId answered_ = 0;
  SeededRandom random_{1};
  MonoTime now_{std::chrono::hours(1)};
  RecordedActions actions_;
  UplinkCoreOptions options_;
  UplinkCore core_{options_, actions_, random_, now_};
};

}  // namespace tributary
