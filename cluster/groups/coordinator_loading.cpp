// A partition of __consumer_offsets comes and goes.

#include "cluster/groups/coordinator.h"
#include "cluster/groups/group.h"
#include "common/base/check.h"

namespace tributary {

GroupCoordinator::Partition& GroupCoordinator::at(std::int32_t partition) {
  CHECK(partition >= 0 && partition < options_.offsets_partitions, "partition {} of {}", partition,
        options_.offsets_partitions);
  return partitions_[static_cast<std::size_t>(partition)];
}

const GroupCoordinator::Partition& GroupCoordinator::at(std::int32_t partition) const {
  return const_cast<GroupCoordinator*>(this)->at(partition);
}

void GroupCoordinator::start_loading(std::int32_t partition) {
  auto& loading = at(partition);
  CHECK(loading.load == Load::kUnloaded, "partition {} is loading or loaded", partition);
  loading.load = Load::kLoading;
}

Result<> GroupCoordinator::load_record(std::int32_t partition, ByteView key, std::optional<ByteView> value) {
  auto& loading = at(partition);
  CHECK(loading.load == Load::kLoading, "partition {} is not loading", partition);
  ASSIGN_OR_RETURN(const auto decoded, decode_offsets_key(key));
  const auto& group_id = std::visit([](const auto& k) -> const std::string& { return k.group_id; }, decoded);
  if (group_id.size() > options_.group_id_bytes_max)
    return fail(Errc::kInvalidArgument, fmt::format("a group id of {} bytes", group_id.size()));
  if (partition_of(group_id) != partition)
    return fail(Errc::kInvalidArgument, fmt::format("group {} belongs to partition {} of {}", group_id,
                                                    partition_of(group_id), options_.offsets_partitions));
  if (const auto* commit = std::get_if<OffsetCommitKey>(&decoded)) {
    if (!value) {
      loading.staged[group_id].offsets.erase(commit->partition);
      return {};
    }
    ASSIGN_OR_RETURN(auto offset, decode_offset_commit_value(*value));
    loading.staged[group_id].offsets.insert_or_assign(commit->partition, std::move(offset));
    return {};
  }
  if (!value) {
    loading.staged[group_id].metadata.reset();
    return {};
  }
  ASSIGN_OR_RETURN(auto metadata, decode_group_metadata_value(*value));
  loading.staged[group_id].metadata = std::move(metadata);
  return {};
}

void GroupCoordinator::finish_loading(Moment now, std::int32_t partition) {
  auto& loading = at(partition);
  CHECK(loading.load == Load::kLoading, "partition {} is not loading", partition);
  loading.load = Load::kLoaded;
  for (auto& [group_id, staged] : std::exchange(loading.staged, {})) {
    if (!staged.metadata && staged.offsets.empty()) continue;
    auto& created = create(now, group_id);
    if (staged.metadata) created.group->restore(now, *staged.metadata);
    for (auto& [tp, offset] : staged.offsets) created.group->restore_offset(tp, std::move(offset));
    settle(partition, group_id, created);
  }
}

void GroupCoordinator::unload(std::int32_t partition) {
  auto& unloading = at(partition);
  unloading.load = Load::kUnloaded;
  unloading.staged.clear();
  for (auto& [group_id, slot] : unloading.groups) {
    slot.group->unload();
    wakes_.erase({slot.wake_at, group_id});
  }
  unloading.groups.clear();
  actions_.forget(partition);
}

}  // namespace tributary
