#include "common/transport/nng_pipe_stats.h"

#include <nng/nng.h>

#include <algorithm>
#include <atomic>
#include <string_view>

namespace tributary {

std::vector<std::pair<std::uint32_t, std::uint64_t>> nng_pipe_sent_bytes() {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sent;
  nng_stat* root = nullptr;
  if (nng_stats_get(&root) != 0) return sent;
  for (auto* scope = nng_stat_child(root); scope != nullptr; scope = nng_stat_next(scope)) {
    if (std::string_view(nng_stat_name(scope)) != "pipe") continue;
    std::uint32_t id = 0;
    std::uint64_t bytes = 0;
    for (auto* item = nng_stat_child(scope); item != nullptr; item = nng_stat_next(item)) {
      const std::string_view name(nng_stat_name(item));
      if (name == "id") id = static_cast<std::uint32_t>(nng_stat_value(item));
      if (name == "tx_bytes") bytes = nng_stat_value(item);
    }
    sent.emplace_back(id, bytes);
  }
  nng_stats_free(root);
  return sent;
}

namespace {
std::atomic<bool> reaper_stuck{false};
}

bool nng_reaper_is_stuck(std::span<const std::uint32_t> lost_pipes) {
  if (reaper_stuck || lost_pipes.empty()) return reaper_stuck;
  for (const auto& [id, bytes] : nng_pipe_sent_bytes())
    if (std::ranges::find(lost_pipes, id) != lost_pipes.end()) reaper_stuck = true;
  return reaper_stuck;
}

bool nng_reaper_is_stuck() { return reaper_stuck; }

}  // namespace tributary
