#pragma once
// A batch under another codec.

#include "common/record/record_batch.h"

namespace tributary {

struct RecompressedBatch {
  BatchHeader header;  // the batch's, with the new codec and length; its CRC is not computed yet: see batch_crc
  Bytes records;       // what follows the header
};

/// The same records under `codec` at `level` (see Compressor), also if they get larger by it. Every record is checked on the way.
/// kCorrupt if it does not decompress or a record is malformed; kTooLarge if the plain records have more than
/// `decompressed_bytes_max`, or more than 1 GiB; kIo if memory runs out inside the codec.
[[nodiscard]] Result<RecompressedBatch> recompress(ByteView batch, Compression codec, std::optional<int> level,
                                                   std::size_t decompressed_bytes_max);

}  // namespace tributary
