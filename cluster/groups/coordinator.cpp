#include "cluster/groups/coordinator.h"

#include <algorithm>
#include <cctype>

#include "cluster/groups/group.h"
#include "cluster/groups/partition_of.h"
#include "common/base/check.h"

namespace tributary {
namespace {

constexpr std::size_t kStringBytesMax = 0x7fff;  // in a record

std::string lower(std::string_view text) {
  std::string result(text);
  for (auto& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

GroupCommitResult refuse_all(const GroupCommit& request, ErrorCode error) {
  GroupCommitResult result;
  for (const auto& asked : request.partitions) result.partitions.push_back({asked.partition, error});
  return result;
}

}  // namespace

GroupCoordinator::GroupCoordinator(GroupOptions options, Random& random, Moment now)
    : options_(options),
      random_(random),
      expiry_at_(now.mono + std::chrono::milliseconds(options.offsets_retention_check_ms)) {
  CHECK(options_.offsets_partitions > 0, "{} partitions", options_.offsets_partitions);
  CHECK(options_.offset_metadata_bytes_max <= kStringBytesMax, "{} bytes", options_.offset_metadata_bytes_max);
  CHECK(options_.group_id_bytes_max <= kStringBytesMax, "{} bytes", options_.group_id_bytes_max);
  CHECK(options_.session_timeout_min_ms > 0, "{} ms", options_.session_timeout_min_ms);
  CHECK(options_.offsets_retention_check_ms > 0, "{} ms", options_.offsets_retention_check_ms);
  partitions_.resize(static_cast<std::size_t>(options_.offsets_partitions));
}

GroupCoordinator::~GroupCoordinator() = default;

std::int32_t GroupCoordinator::partition_of(std::string_view group_id) const {
  return offsets_partition_of(group_id, options_.offsets_partitions);
}

// ---- Finding groups

ErrorCode GroupCoordinator::refusal(const std::string& group_id, EmptyId empty) const {
  if (group_id.size() > options_.group_id_bytes_max) return ErrorCode::kInvalidGroupId;
  if (group_id.empty() && empty == EmptyId::kRefused) return ErrorCode::kInvalidGroupId;
  switch (at(partition_of(group_id)).load) {
    case Load::kUnloaded: return ErrorCode::kNotCoordinator;
    case Load::kLoading: return ErrorCode::kCoordinatorLoadInProgress;
    case Load::kLoaded: return ErrorCode::kNone;
  }
  return ErrorCode::kNone;
}

const Group* GroupCoordinator::find(const std::string& group_id) const {
  const auto& groups = at(partition_of(group_id)).groups;
  const auto found = groups.find(group_id);
  return found == groups.end() ? nullptr : found->second.group.get();
}

GroupCoordinator::Slot* GroupCoordinator::slot(std::int32_t partition, const std::string& group_id) {
  auto& groups = at(partition).groups;
  const auto found = groups.find(group_id);
  return found == groups.end() ? nullptr : &found->second;
}

GroupCoordinator::Slot& GroupCoordinator::create(Moment now, const std::string& group_id) {
  const auto partition = partition_of(group_id);
  auto& slot = at(partition).groups[group_id];
  slot.group = std::make_unique<Group>(group_id, partition, options_, random_, actions_, now);
  return slot;
}

void GroupCoordinator::settle(std::int32_t partition, const std::string& group_id, Slot& slot) {
  const bool gone = slot.group->gone();
  const auto wake_at = gone ? MonoTime::max() : slot.group->next_deadline();
  if (wake_at != slot.wake_at) {
    wakes_.erase({slot.wake_at, group_id});
    if (wake_at != MonoTime::max()) wakes_.emplace(wake_at, group_id);
    slot.wake_at = wake_at;
  }
  if (gone) at(partition).groups.erase(group_id);
}

std::vector<std::pair<std::int32_t, std::string>> GroupCoordinator::all_groups() const {
  std::vector<std::pair<std::int32_t, std::string>> all;
  for (std::size_t i = 0; i < partitions_.size(); ++i)
    for (const auto& [group_id, slot] : partitions_[i].groups) all.emplace_back(static_cast<std::int32_t>(i), group_id);
  return all;
}

std::size_t GroupCoordinator::group_count() const {
  std::size_t count = 0;
  for (const auto& partition : partitions_) count += partition.groups.size();
  return count;
}

// ---- Membership

void GroupCoordinator::join(Moment now, ReplyToken token, GroupJoin request) {
  const auto group_id = request.group_id;
  auto error = refusal(group_id, EmptyId::kRefused);
  if (error == ErrorCode::kNone && (request.session_timeout_ms < options_.session_timeout_min_ms ||
                                    request.session_timeout_ms > options_.session_timeout_max_ms))
    error = ErrorCode::kInvalidSessionTimeout;
  auto* found = error == ErrorCode::kNone ? slot(group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr && !request.member_id.empty())
    error = ErrorCode::kUnknownMemberId;
  if (error != ErrorCode::kNone)
    return actions_.reply(token, GroupJoinResult{.error = error, .member_id = request.member_id});
  if (found == nullptr) found = &create(now, group_id);
  found->group->join(now, token, std::move(request));
  settle(group_id, *found);
}

void GroupCoordinator::sync(Moment now, ReplyToken token, GroupSync request) {
  const auto group_id = request.group_id;
  auto error = refusal(group_id, EmptyId::kRefused);
  // The rebalance under way is lost with the former coordinator. Old clients do not know the other error here.
  if (error == ErrorCode::kCoordinatorLoadInProgress) error = ErrorCode::kRebalanceInProgress;
  auto* found = error == ErrorCode::kNone ? slot(group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr) error = ErrorCode::kUnknownMemberId;
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupSyncResult{.error = error});
  found->group->sync(now, token, std::move(request));
  settle(group_id, *found);
}

void GroupCoordinator::heartbeat(Moment now, ReplyToken token, const GroupHeartbeat& request) {
  auto error = refusal(request.group_id, EmptyId::kRefused);
  // Until the group is there nobody can tell: the member goes on.
  if (error == ErrorCode::kCoordinatorLoadInProgress) return actions_.reply(token, GroupHeartbeatResult{});
  auto* found = error == ErrorCode::kNone ? slot(request.group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr) error = ErrorCode::kUnknownMemberId;
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupHeartbeatResult{error});
  found->group->heartbeat(now, token, request);
  settle(request.group_id, *found);
}

void GroupCoordinator::leave(Moment now, ReplyToken token, const GroupLeave& request) {
  const auto error = refusal(request.group_id, EmptyId::kRefused);
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupLeaveResult{error, {}});
  if (auto* found = slot(request.group_id)) {
    found->group->leave(now, token, request);
    return settle(request.group_id, *found);
  }
  GroupLeaveResult result;
  for (const auto& member : request.members)
    result.members.push_back({member.member_id, member.group_instance_id, ErrorCode::kUnknownMemberId});
  actions_.reply(token, std::move(result));
}

// ---- Offsets

void GroupCoordinator::commit(Moment now, ReplyToken token, const GroupCommit& request) {
  auto error = refusal(request.group_id, EmptyId::kAllowed);
  auto* found = error == ErrorCode::kNone ? slot(request.group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr && request.generation_id >= 0)
    error = ErrorCode::kIllegalGeneration;
  if (error != ErrorCode::kNone) return actions_.reply(token, refuse_all(request, error));
  if (found == nullptr) found = &create(now, request.group_id);
  found->group->commit(now, token, request);
  settle(request.group_id, *found);
}

void GroupCoordinator::delete_offsets(ReplyToken token, const GroupOffsetDelete& request) {
  auto error = refusal(request.group_id, EmptyId::kRefused);
  auto* found = error == ErrorCode::kNone ? slot(request.group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr) error = ErrorCode::kGroupIdNotFound;
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupOffsetDeleteResult{error, {}});
  found->group->delete_offsets(token, request);
  settle(request.group_id, *found);
}

void GroupCoordinator::delete_group(ReplyToken token, const std::string& group_id) {
  auto error = refusal(group_id, EmptyId::kAllowed);
  auto* found = error == ErrorCode::kNone ? slot(group_id) : nullptr;
  if (error == ErrorCode::kNone && found == nullptr) error = ErrorCode::kGroupIdNotFound;
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupDeleteResult{error});
  found->group->delete_group(token);
  settle(group_id, *found);
}

GroupFetchResult GroupCoordinator::fetch(const GroupFetch& request) const {
  GroupFetchResult result{.error = refusal(request.group_id, EmptyId::kAllowed), .partitions = {}};
  if (result.error != ErrorCode::kNone) return result;
  if (const auto* group = find(request.group_id)) return group->fetch(request);
  if (request.partitions)
    for (const auto& partition : *request.partitions) result.partitions.push_back({.partition = partition});
  return result;
}

// ---- Descriptions

GroupDescription GroupCoordinator::describe(const std::string& group_id) const {
  const auto error = refusal(group_id, EmptyId::kAllowed);
  const auto* group = error == ErrorCode::kNone ? find(group_id) : nullptr;
  return group != nullptr ? group->describe() : GroupDescription{.error = error};
}

GroupList GroupCoordinator::list(const std::vector<std::string>& states) const {
  std::set<std::string> wanted;
  for (const auto& state : states) wanted.insert(lower(state));
  GroupList list;
  for (const auto& partition : partitions_) {
    if (partition.load == Load::kLoading) list.error = ErrorCode::kCoordinatorLoadInProgress;
    for (const auto& [group_id, slot] : partition.groups)
      if (wanted.empty() || wanted.contains(lower(name_of(slot.group->state()))))
        list.groups.push_back(slot.group->overview());
  }
  return list;
}

// ---- What else happens

void GroupCoordinator::appended(Moment now, AppendTicket ticket, ErrorCode error) {
  const auto owner = actions_.finish(ticket);
  if (!owner) return;
  auto* found = slot(owner->partition, owner->group_id);
  CHECK(found != nullptr, "group {} was forgotten before ticket {} was completed", owner->group_id, ticket);
  found->group->appended(now, ticket, error);
  settle(owner->partition, owner->group_id, *found);
}

void GroupCoordinator::connection_lost(Moment now, const std::string& group_id, const std::string& member_id,
                                       ReplyToken last) {
  if (refusal(group_id, EmptyId::kRefused) != ErrorCode::kNone) return;
  auto* found = slot(group_id);
  if (found == nullptr) return;
  found->group->connection_lost(now, member_id, last);
  settle(group_id, *found);
}

void GroupCoordinator::topic_deleted(const std::string& topic) {
  for (const auto& [partition, group_id] : all_groups()) {
    auto& found = *slot(partition, group_id);
    found.group->remove_topic(topic);
    settle(partition, group_id, found);
  }
}

std::set<std::string> GroupCoordinator::committed_topics(std::int32_t partition) const {
  std::set<std::string> topics;
  for (const auto& [group_id, slot] : at(partition).groups) slot.group->collect_topics(topics);
  return topics;
}

void GroupCoordinator::tick(Moment now) {
  while (!wakes_.empty() && wakes_.begin()->first <= now.mono) {
    const auto group_id = wakes_.begin()->second;
    auto& found = *slot(group_id);
    found.group->tick(now);
    settle(group_id, found);
  }
  if (now.mono < expiry_at_) return;
  expiry_at_ = now.mono + std::chrono::milliseconds(options_.offsets_retention_check_ms);
  for (const auto& [partition, group_id] : all_groups()) {
    auto& found = *slot(partition, group_id);
    found.group->expire_offsets(now);
    settle(partition, group_id, found);
  }
}

MonoTime GroupCoordinator::next_deadline() const {
  const auto expiry_at = group_count() == 0 ? MonoTime::max() : expiry_at_;
  return wakes_.empty() ? expiry_at : std::min(expiry_at, wakes_.begin()->first);
}

}  // namespace tributary
