#pragma once
// tributary watch

#include "cluster/cli/program.h"
#include "common/config/values.h"

namespace tributary {

class Settings;

struct WatchFlags {
  std::string topic;
  std::string from = "latest";
  HostPort gateway;          // its HTTP listener; no host: none
  Duration run_for{};        // zero: until stopped
  int pid = 0;               // until this process has ended; 0: none
  Duration settle = std::chrono::seconds(30);
  bool plain = false;
};

void declare_watch_command(Settings& program, WatchFlags& flags);
/// Ends with a summary. False if the stream had not settled when the time for it was over.
[[nodiscard]] Result<bool> watch_command(const ClusterFlags& cluster, const WatchFlags& flags, const CommandIo& io);

}  // namespace tributary
