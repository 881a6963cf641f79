#include "common/record/recompress.h"

#include <algorithm>

#include "common/record/record_reader.h"

namespace tributary {
namespace {

constexpr std::int16_t kCodecBits = 7;
/// What Compressor takes at once.
constexpr std::size_t kPlainBytesMax = 1u << 30;

}  // namespace

Result<RecompressedBatch> recompress(ByteView batch, Compression codec, std::optional<int> level,
                                     std::size_t decompressed_bytes_max) {
  // Both are of this call alone: a batch may need tens of megabytes, and logs are many.
  Decompressor decompressor;
  ASSIGN_OR_RETURN(auto reader,
                   RecordReader::open(batch, std::min(decompressed_bytes_max, kPlainBytesMax), decompressor));
  const auto plain = reader.plain_records();
  if (plain.size() > kPlainBytesMax)  // open() bounds only what it decompresses
    return fail(Errc::kTooLarge, fmt::format("record batch: {} bytes of records", plain.size()));
  RecordView record;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) break;
  }
  RecompressedBatch result{reader.header(), {}};
  RETURN_IF_ERROR(Compressor().compress(codec, level, plain, result.records));
  auto& header = result.header;
  header.attributes = static_cast<std::int16_t>((header.attributes & ~kCodecBits) | static_cast<std::int16_t>(codec));
  header.batch_length = static_cast<std::int32_t>(kBatchHeaderSize - kBatchLengthEnd + result.records.size());
  return result;
}

}  // namespace tributary
