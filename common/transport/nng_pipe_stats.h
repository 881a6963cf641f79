#pragma once
// What nng counts about its pipes. Internal to the folder.

#include <cstdint>
#include <span>
#include <vector>

namespace tributary {

struct NngPipeStats {
  std::uint32_t id = 0;
  std::uint64_t sent_bytes = 0;         // of message bodies
  std::uint64_t received_messages = 0;  // complete ones
};

/// Every pipe of the process. Costs a snapshot of all of nng's statistics. Empty if nng was built without
/// them.
[[nodiscard]] std::vector<NngPipeStats> nng_pipe_stats();

/// Whether one of these pipes, all lost two seconds ago or longer, is still not reaped: then nng's only reaper
/// thread is stuck for good (see NngLink). Once true it is true for the process.
[[nodiscard]] bool nng_reaper_is_stuck(std::span<const std::uint32_t> lost_pipes);
/// What the last call found.
[[nodiscard]] bool nng_reaper_is_stuck();

}  // namespace tributary
