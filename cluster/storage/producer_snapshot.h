#pragma once
// The file `<offset>.snapshot`: the producer states before that offset, as Kafka writes them.
//
//   version i16 = 1 | crc u32 (CRC-32C of all that follows) | count i32 | count times:
//     producer_id i64 | epoch i16 | last_sequence i32 | last_offset i64 | offset_delta i32
//     | timestamp i64 | coordinator_epoch i32 = -1 | current_txn_first_offset i64 = -1
//
// Kafka's format has room for the newest batch of a producer only; the four before it follow behind,
// where Kafka's reader does not look (its CRC covers them all the same):
//
//   "TRIB" | version i16 = 1 | for each producer above, in the same order:
//     run_records i32 | older_count i8 | older_count times, oldest first:
//       last_sequence i32 | last_offset i64 | offset_delta i32 | timestamp i64
//
// A snapshot without that part (Kafka's own) gives the newest batch of each producer.

#include "cluster/storage/producer_states.h"
#include "common/bytes/bytes.h"

namespace tributary {

[[nodiscard]] Bytes encode_producer_snapshot(const ProducerStates& states);

/// Replaces the content of `states`. kCorrupt, kUnsupported (another version); then `states` is empty.
/// Every batch must lie below `end_offset`.
[[nodiscard]] Result<> decode_producer_snapshot(ByteView bytes, Offset end_offset, ProducerStates& states);

}  // namespace tributary
