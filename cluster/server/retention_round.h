#pragma once
// The regular look at a shard's partitions for records that are not kept any longer.

#include <chrono>
#include <memory>
#include <vector>

namespace tributary {

class Partition;
class Shard;
class ShardTimer;

/// Looks at each of the shard's partitions once per interval, a few at a time, evenly spread: the first look at a
/// partition may open files, and thousands in one go would hold up the shard.
///
/// begin() on the shard's thread; destroyed there, or when the shard has stopped.
class RetentionRound {
 public:
  RetentionRound(Shard& shard, std::chrono::milliseconds interval) : shard_(shard), interval_(interval) {}
  ~RetentionRound();

  /// The first look is a pause away, as every later one.
  void begin();

 private:
  void look();

  Shard& shard_;
  const std::chrono::milliseconds interval_;
  std::vector<std::weak_ptr<Partition>> left_;  // of this round
  std::chrono::nanoseconds pause_{0};
  std::unique_ptr<ShardTimer> timer_;
};

}  // namespace tributary
