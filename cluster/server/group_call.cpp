#include "cluster/server/group_call.h"

#include "cluster/groups/partition_of.h"
#include "cluster/server/cluster_image.h"
#include "cluster/server/internal_topics.h"

namespace tributary {

ShardGroups& groups_of(const Call& call, std::string_view group_id) {
  auto index = call.home().index();
  if (const auto* topic = call.home().image()->find(kOffsetsTopic)) {
    const auto partition = offsets_partition_of(group_id, static_cast<std::int32_t>(topic->partitions.size()));
    index = topic->partitions[static_cast<std::size_t>(partition)]->shard().index();
  }
  return *call.server().groups[index];
}

const std::vector<std::unique_ptr<ShardGroups>>& all_groups(const Call& call) { return call.server().groups; }

}  // namespace tributary
