#pragma once
// What a flush has to make durable, handed from a log to the flusher and back.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/env/file_system.h"

namespace tributary {

/// Made by Log::begin_flush, carried out by a Flusher (or sync_ticket), given back to
/// Log::complete_flush. A value: moves between threads; the files stay open as long as it lives.
struct FlushTicket {
  std::uint64_t id = 0;  // unique within one Log
  /// Exclusive: once all files and the folder are synced, every record below it is durable.
  Offset stable_offset{0};
  std::vector<std::shared_ptr<File>> files;
  /// To be synced after the files, because one of them is new; empty if none is.
  std::string folder;
};

/// Carries a ticket out on the calling thread: blocks for the disk. After a failure the files must not
/// be synced again (fsync may report an error once and then forget it).
[[nodiscard]] Result<> sync_ticket(FileSystem& fs, const FlushTicket& ticket);

}  // namespace tributary
