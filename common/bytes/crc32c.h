#pragma once
// CRC-32C (Castagnoli), as in Kafka's record batches and RFC 3720.

#include <cstdint>

#include "common/bytes/bytes.h"

namespace tributary {

[[nodiscard]] std::uint32_t crc32c(ByteView view);
/// Continues a checksum: crc32c_extend(crc32c(a), b) == crc32c(a + b).
[[nodiscard]] std::uint32_t crc32c_extend(std::uint32_t crc, ByteView view);

}  // namespace tributary
