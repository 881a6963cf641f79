#pragma once
// The program `tributary`: its commands, their flags, and what they share.

#include <chrono>
#include <string>
#include <vector>

#include "cluster/client/cluster_client.h"
#include "cluster/cli/output.h"
#include "common/env/signals.h"

namespace tributary {

/// How soon a stop signal is noticed by a command that consumes.
inline constexpr Duration kStopPoll = std::chrono::milliseconds(250);

/// Where a command reads and writes, and what ends it early.
struct CommandIo {
  int input = 0;
  Output& output;         // standard output
  Output& errors;         // standard error: flushed after every message
  const StopSignal& stop;

  /// "tributary: <text>" on standard error.
  void say(std::string_view text) const;
};

struct ClusterFlags {
  std::string url = "tcp://127.0.0.1:9093";
  Duration timeout = std::chrono::seconds(10);
};

/// Connects within the timeout; the error says what to do about it.
[[nodiscard]] Result<std::unique_ptr<ClusterClient>> connect_for(const ClusterFlags& flags);

/// Runs the program; `args` without its name. Returns the exit code (common/config/exit_codes.h).
[[nodiscard]] int run_tributary(const std::vector<std::string>& args, int input, int output, int errors,
                                const StopSignal& stop);

}  // namespace tributary
