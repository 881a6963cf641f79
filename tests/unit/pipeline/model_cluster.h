#pragma once
// A cluster in memory behind the uplink's seam: it checks what a broker checks of an idempotent producer
// (KIP-98), and what the pipeline promises of its offers.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/uplink/uplink_port.h"

namespace tributary::test {

/// Survives the forwarders that are connected to it. A broken rule is a test failure. One thread.
class ModelCluster {
 public:
  std::map<std::string, std::int32_t> topics;  // their partition counts

  struct Record {
    std::string key;
    std::string value;
  };
  /// The records of one partition, in order.
  [[nodiscard]] const std::vector<Record>& log(const TopicPartition& partition) { return logs_[partition].records; }
  [[nodiscard]] std::vector<Record> all() const;

  /// Appends a batch as a leader does: a duplicate among the last five is recognised.
  void append(const SealedBatch& batch);
  /// As after a loss of its newest data: it knows no producer any more. The records stay, to be counted.
  void lose_producers() {
    for (auto& [partition, log] : logs_) log.producers.clear();
  }
  [[nodiscard]] bool has(BatchId id) const { return appended_.contains(id); }
  [[nodiscard]] int duplicates() const { return duplicates_; }

 private:
  struct Remembered {
    ProducerEpoch epoch;
    Sequence base_sequence;
    std::int32_t record_count;
  };
  struct Producer {
    ProducerEpoch epoch = kNoProducerEpoch;
    Sequence next{0};
    std::deque<Remembered> last;
  };
  struct Log {
    std::map<ProducerId, Producer> producers;
    std::vector<Record> records;
  };
  std::map<TopicPartition, Log> logs_;
  std::set<BatchId> appended_;
  int duplicates_ = 0;
};

/// The connection of one forwarder's lifetime.
class ModelUplink final : public UplinkPort {
 public:
  explicit ModelUplink(ModelCluster& cluster) : cluster_(cluster) {}
  void want_topic(const std::string& topic, std::int32_t partitions) override {
    wanted[topic] = partitions;
  }
  void offer(SealedBatch batch) override;
  void stop() override { offered_.clear(); }

  /// Appends the oldest offered batch of the first (or the given) partition that has one; its id, to be
  /// acknowledged. Without `acknowledge` the answer is lost: it will be appended again.
  std::optional<BatchId> deliver(bool acknowledge = true);
  std::optional<BatchId> deliver(const TopicPartition& partition, bool acknowledge = true);
  /// Appends all that is offered; no answer gets back.
  void append_all();
  /// Forgets the oldest batch offered for the partition, and what follows it: its id. Nothing if there is
  /// none, or if the log has it.
  std::optional<BatchId> give_back(const TopicPartition& partition);
  [[nodiscard]] std::size_t offered() const;

  std::map<std::string, std::int32_t> wanted;

 private:
  ModelCluster& cluster_;
  std::map<TopicPartition, std::deque<SealedBatch>> offered_;
  std::map<TopicPartition, BatchId> last_;
};

}  // namespace tributary::test
