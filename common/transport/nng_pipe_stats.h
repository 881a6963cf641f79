#pragma once
// What nng counts about its pipes. Internal to the folder.

#include <cstdint>
#include <utility>
#include <vector>

namespace tributary {

/// Every pipe of the process: its id and the bytes of message bodies that it has sent. Costs a snapshot
/// of all of nng's statistics. Empty if nng was built without them.
[[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint64_t>> nng_pipe_sent_bytes();

}  // namespace tributary
