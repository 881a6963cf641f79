// From one generation to the next: JoinGroup is answered when all have joined, SyncGroup when the leader has
// assigned and the assignment is durable.

#include <algorithm>
#include <limits>

#include "cluster/groups/group.h"
#include "cluster/groups/write_errors.h"
#include "common/base/check.h"

namespace tributary {

void Group::prepare_rebalance(Moment now) {
  using std::chrono::milliseconds;
  give_up_syncs(now, ErrorCode::kRebalanceInProgress);
  for (auto& [id, member] : members_) members_.set_owes_sync(member, false);
  sync_deadline_ = MonoTime::max();

  const std::int64_t timeout_ms = members_.rebalance_timeout_max_ms();
  initial_ = state_ == GroupState::kEmpty;
  initial_joined_ = false;
  initial_left_ms_ = std::max<std::int64_t>(timeout_ms - options_.initial_rebalance_delay_ms, 0);
  join_deadline_ = now.mono + milliseconds(initial_ ? options_.initial_rebalance_delay_ms : timeout_ms);
  schedule(join_deadline_);
  transition(now, GroupState::kPreparingRebalance);
}

void Group::maybe_complete_join(Moment now) {
  if (state_ != GroupState::kPreparingRebalance) return;
  const bool due = now.mono >= join_deadline_;
  if (!initial_) {
    if (due || (members_.all_joining() && handed_out_.empty())) complete_join(now);
  } else if (due && initial_joined_ && initial_left_ms_ > 0) {
    // Somebody came: perhaps there are more (KIP-134).
    const auto delay_ms = std::min<std::int64_t>(options_.initial_rebalance_delay_ms, initial_left_ms_);
    initial_left_ms_ -= delay_ms;
    initial_joined_ = false;
    join_deadline_ = now.mono + std::chrono::milliseconds(delay_ms);
    schedule(join_deadline_);
  } else if (due) {
    complete_join(now);
  }
}

void Group::complete_join(Moment now) {
  std::vector<std::string> missing;
  for (const auto& [id, member] : members_)
    if (!member.joining && !member.instance_id) missing.push_back(id);
  for (const auto& id : missing) members_.remove(id);

  initial_ = false;
  if (!members_.empty() && !members_.elect_joining_leader()) {
    // Only static members, all away: wait until they come back or expire.
    join_deadline_ = now.mono + std::chrono::milliseconds(members_.rebalance_timeout_max_ms());
    schedule(join_deadline_);
    return;
  }
  join_deadline_ = MonoTime::max();
  begin_generation(now);
}

void Group::begin_generation(Moment now) {
  generation_ = generation_ == std::numeric_limits<std::int32_t>::max() ? 1 : generation_ + 1;
  storing_generation_ = 0;
  if (members_.empty()) {
    protocol_.reset();
    topics_ = members_.topics(protocol_);
    transition(now, GroupState::kEmpty);
    return write({metadata_record({})}, EmptyWrite{});
  }
  protocol_ = members_.select_protocol();
  topics_ = members_.topics(protocol_);
  transition(now, GroupState::kCompletingRebalance);
  for (auto& [id, member] : members_) {
    answer_join(member, generation_for(member));
    member.is_new = false;
    touch(now, member);
    members_.set_owes_sync(member, true);
  }
  sync_deadline_ = now.mono + std::chrono::milliseconds(members_.rebalance_timeout_max_ms());
  schedule(sync_deadline_);
}

void Group::give_up_syncs(Moment now, ErrorCode error) {
  if (state_ != GroupState::kCompletingRebalance) return;
  for (auto& [id, member] : members_) {
    member.assignment.clear();
    if (!member.syncing) continue;
    answer_sync(member, {.error = error});
    touch(now, member);  // while it waited it sent no heartbeats
  }
}

// ---- SyncGroup

void Group::sync(Moment now, ReplyToken token, GroupSync request) {
  auto error = state_ == GroupState::kDead ? ErrorCode::kCoordinatorNotAvailable
                                           : member_error(request.member_id, request.group_instance_id);
  auto* known = error == ErrorCode::kNone ? members_.find(request.member_id) : nullptr;
  if (known != nullptr && known->last_step) known->last_step = token;
  if (error == ErrorCode::kNone && request.generation_id != generation_) error = ErrorCode::kIllegalGeneration;
  const bool same_protocol = (!request.protocol_type || *request.protocol_type == members_.protocol_type()) &&
                             (!request.protocol_name || request.protocol_name == protocol_);
  if (error == ErrorCode::kNone && !same_protocol) error = ErrorCode::kInconsistentGroupProtocol;
  if (error == ErrorCode::kNone && state_ == GroupState::kPreparingRebalance)
    error = ErrorCode::kRebalanceInProgress;
  if (error != ErrorCode::kNone) return actions_.reply(token, GroupSyncResult{.error = error});

  auto& member = *known;
  sync_received(member);
  if (state_ == GroupState::kStable) {
    member.last_step.reset();
    actions_.reply(token, GroupSyncResult{ErrorCode::kNone, members_.protocol_type(), protocol_, member.assignment});
    return touch(now, member);
  }
  CHECK(state_ == GroupState::kCompletingRebalance, "a member in state {}", name_of(state_));
  // The same member asks again, so nobody waits for the former answer.
  answer_sync(member, {.error = ErrorCode::kRebalanceInProgress});
  member.syncing = token;
  if (members_.leader() == member.id && storing_generation_ != generation_)
    store_assignment(std::move(request.assignments));
}

void Group::sync_received(GroupMember& member) {
  members_.set_owes_sync(member, false);
  if (!members_.any_owes_sync()) sync_deadline_ = MonoTime::max();
}

/// Those who know of the generation and did not sync are gone.
void Group::expire_syncs(Moment now) {
  std::vector<std::string> silent;
  for (const auto& [id, member] : members_)
    if (member.owes_sync) silent.push_back(id);
  sync_deadline_ = MonoTime::max();
  for (const auto& id : silent) remove_member(now, id);
}

void Group::store_assignment(std::map<std::string, Bytes> assignments) {
  storing_generation_ = generation_;
  std::erase_if(assignments, [&](const auto& one) { return members_.find(one.first) == nullptr; });
  const auto record = metadata_record(assignments);
  write({record}, AssignmentWrite{generation_, std::move(assignments)});
}

void Group::done(Moment now, AssignmentWrite write, ErrorCode error) {
  // Otherwise a rebalance has begun meanwhile, and those who waited were told.
  if (state_ != GroupState::kCompletingRebalance || write.generation != generation_) return;
  if (error != ErrorCode::kNone) {
    give_up_syncs(now, group_error_of(error));
    return prepare_rebalance(now);
  }
  transition(now, GroupState::kStable);
  for (auto& [id, member] : members_) {
    member.assignment = std::move(write.assignments[id]);
    if (!member.syncing) continue;
    member.last_step.reset();
    answer_sync(member, {ErrorCode::kNone, members_.protocol_type(), protocol_, member.assignment});
    touch(now, member);
  }
}

/// The group as it is, with these assignments; a member that has none gets an empty one.
OffsetsRecord Group::metadata_record(const std::map<std::string, Bytes>& assignments) const {
  GroupMetadataValue value{.protocol_type = members_.protocol_type(),
                           .generation = generation_,
                           .protocol = protocol_,
                           .leader = {},
                           .current_state_timestamp_ms = state_since_ms_,
                           .members = {}};
  if (!members_.empty()) value.leader = members_.leader();
  for (const auto& [id, member] : members_) {
    const auto* protocol = member.protocol(*protocol_);
    const auto assignment = assignments.find(id);
    value.members.push_back({id, member.instance_id, member.client_id, member.client_host,
                             member.rebalance_timeout_ms, member.session_timeout_ms,
                             protocol == nullptr ? Bytes() : protocol->metadata,
                             assignment == assignments.end() ? Bytes() : assignment->second});
  }
  return {encode(GroupMetadataKey{id_}), encode(value)};
}

void Group::write(std::vector<OffsetsRecord> records, Write what) {
  if (!std::holds_alternative<CommitWrite>(what) && !std::holds_alternative<RemovalWrite>(what)) in_log_ = true;
  const auto ticket = actions_.append(partition_, id_, std::move(records));
  writes_.emplace(ticket, std::move(what));
}

}  // namespace tributary
