#include "tests/unit/pipeline/model_cluster.h"

#include <gtest/gtest.h>

#include "common/record/record_reader.h"

namespace tributary::test {

std::vector<ModelCluster::Record> ModelCluster::all() const {
  std::vector<Record> records;
  for (const auto& [partition, log] : logs_) {
    records.insert(records.end(), log.records.begin(), log.records.end());
  }
  return records;
}

void ModelCluster::append(const SealedBatch& batch) {
  const auto& where = batch.info.destination;
  ASSERT_LT(where.partition.value(), topics[where.topic]) << fmt::to_string(where);
  const auto header = validate_batch(batch.bytes.view(), {});
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->base_sequence, batch.info.base_sequence);
  ASSERT_EQ(header->producer_epoch, batch.info.epoch);
  ASSERT_EQ(header->producer_id, batch.info.producer_id);
  auto& log = logs_[where];
  auto& producer = log.producers[header->producer_id];
  for (const auto& known : producer.last) {
    if (known.epoch == header->producer_epoch && known.base_sequence == header->base_sequence &&
        known.record_count == header->record_count) {
      ++duplicates_;
      return;
    }
  }
  if (header->producer_epoch == producer.epoch && header->last_sequence() < producer.next) {
    ++duplicates_;  // DUPLICATE_SEQUENCE_NUMBER: it was appended, too long ago to say where
    return;
  }
  ASSERT_GE(header->producer_epoch, producer.epoch) << fmt::to_string(where) << ": fenced";
  if (header->producer_epoch > producer.epoch) {
    ASSERT_EQ(header->base_sequence, Sequence(0)) << fmt::to_string(where) << ": a new epoch";
    producer.last.clear();
  } else {
    ASSERT_EQ(header->base_sequence, producer.next) << fmt::to_string(where) << ": out of order";
  }
  appended_.insert(batch.info.id);
  producer.epoch = header->producer_epoch;
  producer.next = advanced(header->base_sequence, header->record_count);
  producer.last.push_back({header->producer_epoch, header->base_sequence, header->record_count});
  if (producer.last.size() > 5) producer.last.pop_front();
  auto reader = RecordReader::open(batch.bytes.view(), 64 << 20).value();
  RecordView record;
  while (reader.next(record).value()) {
    log.records.push_back({std::string(as_string_view(*record.key)), std::string(as_string_view(*record.value))});
  }
}

void ModelUplink::offer(SealedBatch batch) {
  auto& queue = offered_[batch.info.destination];
  ASSERT_LT(queue.size(), kOfferedMax);
  if (!queue.empty()) {
    ASSERT_EQ(queue.back().info.epoch, batch.info.epoch);
    ASSERT_EQ(queue.back().info.producer_id, batch.info.producer_id);
    ASSERT_LT(queue.back().info.id, batch.info.id);
  }
  queue.push_back(std::move(batch));
}

std::optional<BatchId> ModelUplink::deliver(bool acknowledge) {
  for (auto& [partition, queue] : offered_) {
    if (!queue.empty()) return deliver(partition, acknowledge);
  }
  return std::nullopt;
}

std::optional<BatchId> ModelUplink::deliver(const TopicPartition& partition, bool acknowledge) {
  auto& queue = offered_[partition];
  if (queue.empty()) return std::nullopt;
  cluster_.append(queue.front());
  if (!acknowledge) return std::nullopt;
  const auto id = queue.front().info.id;
  queue.pop_front();
  return id;
}

void ModelUplink::append_all() {
  for (auto& [partition, queue] : offered_) {
    for (const auto& batch : queue) cluster_.append(batch);
  }
}

std::optional<BatchId> ModelUplink::give_back(const TopicPartition& partition) {
  auto& queue = offered_[partition];
  if (queue.empty() || cluster_.has(queue.front().info.id)) return std::nullopt;
  const auto id = queue.front().info.id;
  queue.clear();
  return id;
}

std::size_t ModelUplink::offered() const {
  std::size_t count = 0;
  for (const auto& [partition, queue] : offered_) count += queue.size();
  return count;
}

}  // namespace tributary::test
