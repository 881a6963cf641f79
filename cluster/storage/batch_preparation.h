#pragma once
// What a topic's configs make of a producer's batch before it is written.

#include "cluster/storage/segment.h"

namespace tributary {

/// message.timestamp.before.max.ms and message.timestamp.after.max.ms (KIP-937), where records keep their
/// create time; a record without a time passes. kInvalidTimestamp, and which records are meant is added to `refused`, if
/// given. Compressed records are looked into as soon as there is a limit: kCorrupt, kTooLarge then, too.
[[nodiscard]] Result<> check_timestamps(ByteView batch, const LogConfig& config, WallMs now_ms,
                                        RefusedRecords* refused = nullptr);

/// `batch`, whose header with its final offsets and epoch is `placed`, as it is to be written: compressed as
/// compression.type asks, with `now_ms` as its time if message.timestamp.type does. Without either it is a view of
/// `batch`. Errors: those of recompress; kTooLarge if it gets larger than max.message.bytes by it.
[[nodiscard]] Result<PreparedBatch> prepare_batch(const BatchHeader& placed, ByteView batch, const LogConfig& config,
                                                  WallMs now_ms);

}  // namespace tributary
