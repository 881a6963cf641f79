#pragma once
// What nng counts about its pipes. Internal to the folder.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace tributary {

/// Every pipe of the process: its id and the bytes of message bodies that it has sent. Costs a snapshot
/// of all of nng's statistics. Empty if nng was built without them.
[[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint64_t>> nng_pipe_sent_bytes();

/// Whether one of these pipes, all lost two seconds ago or longer, is still not reaped: then nng's only reaper
/// thread is stuck for good (see NngLink). Once true it is true for the process.
[[nodiscard]] bool nng_reaper_is_stuck(std::span<const std::uint32_t> lost_pipes);
/// What the last call found.
[[nodiscard]] bool nng_reaper_is_stuck();

}  // namespace tributary
