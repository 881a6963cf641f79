#include "common/transport/nng_pipe_stats.h"

#include <nng/nng.h>

#include <algorithm>
#include <atomic>
#include <string_view>

namespace tributary {

std::vector<NngPipeStats> nng_pipe_stats() {
  std::vector<NngPipeStats> pipes;
  nng_stat* root = nullptr;
  if (nng_stats_get(&root) != 0) return pipes;
  for (auto* scope = nng_stat_child(root); scope != nullptr; scope = nng_stat_next(scope)) {
    if (std::string_view(nng_stat_name(scope)) != "pipe") continue;
    NngPipeStats pipe;
    for (auto* item = nng_stat_child(scope); item != nullptr; item = nng_stat_next(item)) {
      const std::string_view name(nng_stat_name(item));
      if (name == "id") pipe.id = static_cast<std::uint32_t>(nng_stat_value(item));
      if (name == "tx_bytes") pipe.sent_bytes = nng_stat_value(item);
      if (name == "rx_msgs") pipe.received_messages = nng_stat_value(item);
    }
    pipes.push_back(pipe);
  }
  nng_stats_free(root);
  return pipes;
}

namespace {
std::atomic<bool> reaper_stuck{false};
}

bool nng_reaper_is_stuck(std::span<const std::uint32_t> lost_pipes) {
  if (reaper_stuck || lost_pipes.empty()) return reaper_stuck;
  for (const auto& pipe : nng_pipe_stats())
    if (std::ranges::find(lost_pipes, pipe.id) != lost_pipes.end()) reaper_stuck = true;
  return reaper_stuck;
}

bool nng_reaper_is_stuck() { return reaper_stuck; }

}  // namespace tributary
