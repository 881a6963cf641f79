#pragma once
// What the machine itself can do, measured beside the program.

#include <string>

#include "common/bytes/bytes.h"
#include "common/base/result.h"

namespace tributary::bench {

/// Seconds to write `block` `count` times to a new file at `path`, with fdatasync after each. Removes it.
[[nodiscard]] Result<double> write_and_sync(const std::string& path, ByteView block, int count);

/// Seconds to carry the files over a loopback TCP connection by sendfile, `chunk_bytes` a call, to a thread
/// that reads them into one buffer of that size.
[[nodiscard]] Result<double> sendfile_over_loopback(const std::vector<std::string>& files, std::size_t chunk_bytes);

}  // namespace tributary::bench
