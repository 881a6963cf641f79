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
  void rejected(BatchId id, const std::string& reason) override { rejections.emplace_back(id.value(), reason); }
  void fenced(const std::string& reason) override { fences.push_back(reason); }
  void partition_count(const std::string& topic, std::int32_t count) override { counts.emplace_back(topic, count); }
  void reachable(bool reachable) override { reachables.push_back(reachable); }
  void say(bool, const std::string& text) override { said.push_back(text); }

  std::vector<Produce> produces;
  std::vector<std::pair<UplinkRequestId, std::vector<std::string>>> metadata;
  std::vector<std::tuple<UplinkRequestId, std::string, std::int32_t>> creations;
  std::vector<std::int64_t> acks;
  std::vector<std::pair<std::int64_t, std::string>> rejections;
  std::vector<std::string> fences;
  std::vector<std::pair<std::string, std::int32_t>> counts;
  std::vector<bool> reachables;
  std::vector<std::string> said;
};

}  // namespace tributary
