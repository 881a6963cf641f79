#pragma once
// What a broker knows of its cluster at one moment. Never changed once made: each shard holds one.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/metadata/topic_registry.h"
#include "cluster/server/topic_settings.h"

namespace tributary {

class Partition;

struct TopicImage {
  Topic topic;
  TopicSettings settings;
  std::vector<std::shared_ptr<Partition>> partitions;  // by partition index; none is null

  /// Null if there is no such partition.
  [[nodiscard]] const std::shared_ptr<Partition>& partition(PartitionIndex index) const {
    static const std::shared_ptr<Partition> none;
    const auto i = static_cast<std::size_t>(static_cast<std::uint32_t>(index.value()));
    return i < partitions.size() ? partitions[i] : none;
  }
};

/// Immutable, thread-safe.
class ClusterImage {
 public:
  using Topics = std::map<std::string, std::shared_ptr<const TopicImage>, std::less<>>;

  ClusterImage() = default;
  explicit ClusterImage(Topics topics) : topics_(std::move(topics)) {
    for (const auto& [name, image] : topics_) by_id_.emplace(image->topic.id, image.get());
  }

  /// Sorted by name.
  [[nodiscard]] const Topics& topics() const { return topics_; }
  /// Null if there is no such topic.
  [[nodiscard]] const TopicImage* find(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] const TopicImage* find(const Uuid& id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::size_t partition_count() const {
    std::size_t count = 0;
    for (const auto& [name, image] : topics_) count += image->partitions.size();
    return count;
  }

 private:
  Topics topics_;
  std::map<Uuid, const TopicImage*> by_id_;  // of topics_
};

}  // namespace tributary
