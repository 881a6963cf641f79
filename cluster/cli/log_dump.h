#pragma once
// tributary log dump: a segment file, batch by batch. Needs no broker.

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct LogDumpFlags {
  std::string file;
  bool records = false;
  bool json = false;
};

void declare_log_command(Settings& program, LogDumpFlags& flags);

/// True if every byte of the file belongs to a sound batch. Goes on behind a batch whose CRC or records
/// are bad, and ends where the next batch cannot be found. Memory: one batch (and, with records, its
/// plain form).
[[nodiscard]] Result<bool> log_dump_command(const LogDumpFlags& flags, const CommandIo& io);

}  // namespace tributary
