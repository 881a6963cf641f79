#pragma once
// A record batch on its way through the gateway: sealed, not yet acknowledged by the cluster.

#include <cstdint>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"

namespace tributary {

/// One ascending sequence for the whole gateway, from 1, over all topics and partitions; it never
/// restarts while a sealed batch exists anywhere. 0 = before the first.
using BatchId = Strong<struct BatchIdTag, std::int64_t>;

/// What is known of a sealed batch without its bytes. Producer id, epoch and base sequence are those
/// in the bytes' header: a batch is stamped once, when it is sealed.
struct SealedBatchInfo {
  BatchId id{0};
  TopicPartition destination;
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
  std::int32_t record_count = 0;
  std::int32_t payload_bytes = 0;    // of the MQTT payloads in it, as received
  std::int32_t size = 0;             // of the bytes
  WallMs oldest_received_ms = 0;     // the oldest reading in it, by the wall clock
  MonoTime oldest_received{};        // the same, monotonic; only of this boot (not kept on flash)
};

/// `bytes` is exactly one record batch v2 (common/record), base offset 0, ready to be produced.
struct SealedBatch {
  SealedBatchInfo info;
  SharedBytes bytes;
};

/// The sequence that the next batch of a partition gets.
struct NextSequence {
  TopicPartition destination;
  Sequence sequence{0};
};

}  // namespace tributary
