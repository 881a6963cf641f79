#pragma once
// What the forwarder keeps of topics, partitions and batches; private to its sources.

#include "gateway/pipeline/forwarder.h"

namespace tributary {

struct Forwarder::Topic {
  std::string name;
  PartitionMapping mapping;
  bool mapping_persisted = false;
  bool count_known = false;     // told by the cluster on this run
  bool rehoming = false;        // nothing is offered until rehome() is done
  struct GivenUp {
    BatchId id{0};
    std::int32_t record_count = 0;
    bool damaged = false;       // on flash; otherwise refused by the cluster
  };
  std::vector<GivenUp> given_up;
  MonoTime retry{};             // flash is not written for it before, after a failure
};

struct Forwarder::Partition {
  TopicPartition destination;
  Topic* topic = nullptr;

  struct Offered {
    BatchId id{0};
    std::size_t size = 0;
    std::int32_t record_count = 0;
  };
  std::deque<Offered> in_flight;
  BatchId offered_last{0};
  ProducerId producer_id_last = kNoProducerId;  // of what was offered last on this run
  ProducerEpoch epoch_last = kNoProducerEpoch;

  // On flash: batches up to `scanned` are staged, offered or done; there are none above `flash_last`.
  std::deque<SealedBatchInfo> staged;
  BatchId scanned{0};
  BatchId flash_last{0};
  MonoTime read_retry{};        // not before, after a failure
  int read_failures = 0;        // in a row, of the first one staged

  std::deque<BatchId> waiting;  // on tmpfs, not offered

  [[nodiscard]] bool flash_backlog() const { return !staged.empty() || scanned < flash_last; }
  [[nodiscard]] bool idle() const { return in_flight.empty() && waiting.empty() && !flash_backlog(); }
};

struct Forwarder::TmpfsBatch {
  Partition* partition = nullptr;
  SealedBatchInfo info;
  MonoTime sealed_with_oldest{};  // not after the oldest reading of it; ascends with the id
  SharedBytes bytes;              // empty: read them from the intake
};

}  // namespace tributary
