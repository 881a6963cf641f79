#include "cluster/groups/group.h"

#include <algorithm>

#include "common/base/check.h"

namespace tributary {
namespace {

/// KIP-62's consumers retry a join long before; one that does not is gone.
constexpr auto kNewMemberTimeout = std::chrono::minutes(5);

}  // namespace

std::string_view name_of(GroupState state) {
  switch (state) {
    case GroupState::kEmpty: return "Empty";
    case GroupState::kPreparingRebalance: return "PreparingRebalance";
    case GroupState::kCompletingRebalance: return "CompletingRebalance";
    case GroupState::kStable: return "Stable";
    case GroupState::kDead: return "Dead";
  }
  return "?";
}

Group::Group(std::string id, std::int32_t partition, const GroupOptions& options, Random& random,
             GroupActions& actions, Moment now)
    : id_(std::move(id)),
      partition_(partition),
      options_(options),
      random_(random),
      actions_(actions),
      state_since_ms_(now.wall_ms) {}

void Group::restore(Moment now, const GroupMetadataValue& value) {
  in_log_ = true;
  generation_ = value.generation;
  protocol_ = value.protocol;
  members_.restore_protocol_type(value.protocol_type);
  for (const auto& stored : value.members) {
    GroupMember member{.id = stored.member_id,
                       .instance_id = stored.group_instance_id,
                       .client_id = stored.client_id,
                       .client_host = stored.client_host,
                       .rebalance_timeout_ms = std::max(stored.rebalance_timeout_ms, kRebalanceTimeoutMinMs),
                       .session_timeout_ms = std::max(stored.session_timeout_ms, options_.session_timeout_min_ms),
                       .assignment = stored.assignment,
                       .protocols = {{*value.protocol, stored.subscription}}};
    touch(now, members_.add(std::move(member), value.protocol_type));
  }
  if (value.leader && !members_.empty()) members_.restore_leader(*value.leader);
  topics_ = members_.topics(protocol_);
  state_ = members_.empty() ? GroupState::kEmpty : GroupState::kStable;
  state_since_ms_ = value.current_state_timestamp_ms;
  if (members_.size() > options_.group_size_max) prepare_rebalance(now);
}

void Group::restore_offset(const TopicPartition& partition, CommittedOffset offset) {
  offsets_.restore(partition, std::move(offset));
}

void Group::transition(Moment now, GroupState state) {
  state_ = state;
  state_since_ms_ = now.wall_ms;
}

bool Group::gone() const {
  if (!writes_.empty()) return false;
  if (removed_) return true;
  return state_ == GroupState::kEmpty && handed_out_.empty() && !in_log_ && offsets_.empty();
}

// ---- Members

void Group::touch(Moment now, GroupMember& member) {
  const Duration timeout =
      member.is_new ? Duration(kNewMemberTimeout) : std::chrono::milliseconds(member.session_timeout_ms);
  member.expires_at = now.mono + timeout;
  schedule(member.expires_at);
}

ErrorCode Group::member_error(const std::string& member_id, const std::optional<std::string>& instance_id) {
  if (instance_id) {
    const auto* holder = members_.find_static(*instance_id);
    if (holder == nullptr) return ErrorCode::kUnknownMemberId;
    if (holder->id != member_id) return ErrorCode::kFencedInstanceId;
  }
  return members_.find(member_id) == nullptr ? ErrorCode::kUnknownMemberId : ErrorCode::kNone;
}

void Group::answer_join(GroupMember& member, GroupJoinResult result) {
  if (!member.joining) return;
  actions_.reply(*member.joining, std::move(result));
  members_.set_joining(member, std::nullopt);
}

void Group::answer_sync(GroupMember& member, GroupSyncResult result) {
  if (!member.syncing) return;
  actions_.reply(*member.syncing, std::move(result));
  member.syncing.reset();
}

/// It left, or was not heard of.
void Group::remove_member(Moment now, const std::string& member_id) {
  auto* member = members_.find(member_id);
  CHECK(member != nullptr, "no member {}", member_id);
  answer_join(*member, {.error = ErrorCode::kUnknownMemberId});
  answer_sync(*member, {.error = ErrorCode::kUnknownMemberId});
  members_.remove(member_id);
  if (state_ == GroupState::kStable || state_ == GroupState::kCompletingRebalance) prepare_rebalance(now);
}

void Group::heartbeat(Moment now, ReplyToken token, const GroupHeartbeat& request) {
  auto error = state_ == GroupState::kDead ? ErrorCode::kCoordinatorNotAvailable
                                           : member_error(request.member_id, request.group_instance_id);
  if (error == ErrorCode::kNone && request.generation_id != generation_) error = ErrorCode::kIllegalGeneration;
  if (error == ErrorCode::kNone) {
    touch(now, *members_.find(request.member_id));
    if (state_ == GroupState::kPreparingRebalance) error = ErrorCode::kRebalanceInProgress;
  }
  actions_.reply(token, GroupHeartbeatResult{error});
}

void Group::leave(Moment now, ReplyToken token, const GroupLeave& request) {
  GroupLeaveResult result;
  if (state_ == GroupState::kDead) {
    result.error = ErrorCode::kCoordinatorNotAvailable;
  } else {
    for (const auto& leaving : request.members)
      result.members.push_back({leaving.member_id, leaving.group_instance_id, leave_one(now, leaving)});
  }
  actions_.reply(token, std::move(result));
  maybe_complete_join(now);
}

ErrorCode Group::leave_one(Moment now, const GroupLeave::Member& leaving) {
  if (leaving.member_id.empty()) {  // an administrator's way to remove a static member
    const auto* member = leaving.group_instance_id ? members_.find_static(*leaving.group_instance_id) : nullptr;
    if (member == nullptr) return ErrorCode::kUnknownMemberId;
    remove_member(now, std::string(member->id));
    return ErrorCode::kNone;
  }
  if (handed_out_.erase(leaving.member_id) > 0) return ErrorCode::kNone;
  const auto error = member_error(leaving.member_id, leaving.group_instance_id);
  if (error == ErrorCode::kNone) remove_member(now, leaving.member_id);
  return error;
}

/// Whose last step towards its assignment this request is. `member_id`: as it was asked with; empty: any.
std::optional<std::string> Group::mid_rebalance(const std::string& member_id, ReplyToken request) {
  if (!member_id.empty()) {
    const auto* member = members_.find(member_id);
    return member != nullptr && member->last_step == request ? std::optional(member_id) : std::nullopt;
  }
  const auto found = std::ranges::find_if(members_, [&](const auto& one) { return one.second.last_step == request; });
  return found == members_.end() ? std::nullopt : std::optional(found->first);
}

/// All would wait for a leader that does not assign until its session ends. A static member's place is kept that long.
void Group::connection_lost(Moment now, const std::string& member_id, ReplyToken last) {
  if (state_ == GroupState::kDead) return;
  if (member_id.empty()) std::erase_if(handed_out_, [&](const auto& id) { return id.second.told == last; });
  const auto id = mid_rebalance(member_id, last);
  if (id && !members_.find(*id)->instance_id) remove_member(now, *id);
  maybe_complete_join(now);
}

// ---- Time

void Group::tick(Moment now) {
  if (now.mono < wake_at_) return;
  std::erase_if(handed_out_, [&](const auto& id) { return id.second.expires_at <= now.mono; });
  expire_members(now);
  if (now.mono >= sync_deadline_) expire_syncs(now);
  maybe_complete_join(now);
  recompute_wake();
}

void Group::expire_members(Moment now) {
  std::vector<std::string> silent;
  for (const auto& [id, member] : members_)
    if (member.may_expire() && member.expires_at <= now.mono) silent.push_back(id);
  for (const auto& id : silent) remove_member(now, id);
}

void Group::recompute_wake() {
  wake_at_ = std::min(join_deadline_, sync_deadline_);
  for (const auto& [id, handed_out] : handed_out_) schedule(handed_out.expires_at);
  for (const auto& [id, member] : members_)
    if (member.may_expire()) schedule(member.expires_at);
}

// ---- Reads

GroupDescription Group::describe() const {
  const bool stable = state_ == GroupState::kStable;
  GroupDescription description{.state = state_, .protocol_type = members_.protocol_type()};
  if (stable) description.protocol = *protocol_;
  for (const auto& [id, member] : members_) {
    auto& shown = description.members.emplace_back(
        GroupDescription::Member{id, member.instance_id, member.client_id, member.client_host, {}, {}});
    if (!stable) continue;
    if (const auto* protocol = member.protocol(*protocol_)) shown.metadata = protocol->metadata;
    shown.assignment = member.assignment;
  }
  return description;
}

GroupOverview Group::overview() const { return {id_, members_.protocol_type(), state_}; }

// ---- What has become durable, or not

void Group::appended(Moment now, AppendTicket ticket, ErrorCode error) {
  auto node = writes_.extract(ticket);
  CHECK(!node.empty(), "group {} does not know ticket {}", id_, ticket);
  struct Visit {
    Group& group;
    Moment now;
    AppendTicket ticket;
    ErrorCode error;
    void operator()(AssignmentWrite& write) const { group.done(now, std::move(write), error); }
    void operator()(StaticWrite& write) const { group.done(now, std::move(write), error); }
    /// If it failed, the generation before comes back with the log, and its members expire.
    void operator()(EmptyWrite&) const {}
    void operator()(CommitWrite& write) const { group.done(ticket, std::move(write), error); }
    void operator()(RemovalWrite& write) const { group.done(ticket, std::move(write), error); }
  };
  std::visit(Visit{*this, now, ticket, error}, node.mapped());
  maybe_complete_join(now);
}

void Group::unload() {
  for (auto& [id, member] : members_) {
    answer_join(member, {.error = ErrorCode::kNotCoordinator, .member_id = id});
    answer_sync(member, {.error = ErrorCode::kNotCoordinator});
  }
  drop_writes();
  state_ = GroupState::kDead;
}

}  // namespace tributary
