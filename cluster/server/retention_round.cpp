#include "cluster/server/retention_round.h"

#include <algorithm>

#include "cluster/server/cluster_image.h"
#include "cluster/server/partition.h"
#include "cluster/server/shard.h"

namespace tributary {
namespace {

constexpr std::size_t kPartitionsPerLook = 4;

}  // namespace

RetentionRound::~RetentionRound() = default;

void RetentionRound::begin() {
  for (const auto& [name, topic] : shard_.image()->topics())
    for (const auto& partition : topic->partitions)
      if (&partition->shard() == &shard_) left_.push_back(partition);
  const auto looks = std::max<std::size_t>(1, (left_.size() + kPartitionsPerLook - 1) / kPartitionsPerLook);
  pause_ = std::chrono::nanoseconds(interval_) / static_cast<std::int64_t>(looks);
  timer_ = shard_.after(pause_, [this] { look(); });
}

void RetentionRound::look() {
  for (std::size_t i = 0; i < kPartitionsPerLook && !left_.empty(); ++i) {
    if (const auto partition = left_.back().lock()) partition->enforce_retention();
    left_.pop_back();
  }
  if (left_.empty()) return begin();
  timer_ = shard_.after(pause_, [this] { look(); });
}

}  // namespace tributary
