// JoinGroup: who may become or stay a member.

#include <algorithm>

#include "cluster/groups/group.h"
#include "cluster/groups/write_errors.h"
#include "common/base/check.h"
#include "common/base/topic_name.h"
#include "common/base/uuid.h"

namespace tributary {
namespace {

constexpr std::size_t kNameBytesMax = 0x7fff;  // of a string in a record
constexpr std::size_t kClientBytesMax = 255;

/// At most so many bytes, without cutting a character in two.
std::string shortened(const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  auto end = bytes_max;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

/// What goes into records has to fit there, and every protocol counts once.
ErrorCode tidy(GroupJoin& request) {
  if (request.group_instance_id && !validate_topic_name(*request.group_instance_id))
    return ErrorCode::kInvalidConfig;
  if (request.protocol_type.empty() || request.protocol_type.size() > kNameBytesMax || request.protocols.empty())
    return ErrorCode::kInconsistentGroupProtocol;
  request.client_id = shortened(request.client_id, kClientBytesMax);
  request.client_host = shortened(request.client_host, kClientBytesMax);
  std::set<std::string> names;
  for (const auto& protocol : request.protocols)
    if (protocol.name.size() > kNameBytesMax) return ErrorCode::kInconsistentGroupProtocol;
  std::erase_if(request.protocols, [&](const GroupProtocol& p) { return !names.insert(p.name).second; });
  return ErrorCode::kNone;
}

}  // namespace

void Group::join(Moment now, ReplyToken token, GroupJoin request) {
  auto error = tidy(request);
  request.rebalance_timeout_ms = std::max(request.rebalance_timeout_ms, kRebalanceTimeoutMinMs);
  if (state_ == GroupState::kDead) error = ErrorCode::kCoordinatorNotAvailable;
  if (error == ErrorCode::kNone && !has_room_for(request)) {
    handed_out_.erase(request.member_id);
    members_.remove(request.member_id);
    request.member_id.clear();
    error = ErrorCode::kGroupMaxSizeReached;
  }
  if (error == ErrorCode::kNone && members_.protocol_bytes_without(request.member_id) + protocol_bytes(request.protocols) >
                                       options_.append_bytes_max)
    error = ErrorCode::kGroupMaxSizeReached;
  if (error == ErrorCode::kNone && state_ != GroupState::kEmpty &&
      !members_.support(request.protocol_type, request.protocols))
    error = ErrorCode::kInconsistentGroupProtocol;
  if (error != ErrorCode::kNone) {
    actions_.reply(token, GroupJoinResult{.error = error, .member_id = request.member_id});
  } else if (request.member_id.empty()) {
    join_new(now, token, std::move(request));
  } else {
    join_known(now, token, std::move(request));
  }
  maybe_complete_join(now);
}

/// KIP-389. While members join again those who come last are turned away, so that a group over a limit that
/// was lowered shrinks.
bool Group::has_room_for(const GroupJoin& request) {
  const auto* member = members_.find(request.member_id);
  if (request.member_id.empty()) {
    if (request.group_instance_id) member = members_.find_static(*request.group_instance_id);
    else if (handed_out_.size() >= options_.group_size_max) return false;
  }
  switch (state_) {
    case GroupState::kEmpty:
    case GroupState::kDead: return true;
    case GroupState::kPreparingRebalance:
      return (member != nullptr && member->joining) || members_.joining_count() < options_.group_size_max;
    case GroupState::kCompletingRebalance:
    case GroupState::kStable: return member != nullptr || members_.size() < options_.group_size_max;
  }
  return false;
}

void Group::join_new(Moment now, ReplyToken token, GroupJoin request) {
  if (request.group_instance_id) {
    const auto id = new_member_id(*request.group_instance_id);
    auto* member = members_.find_static(*request.group_instance_id);
    if (member != nullptr) return replace_static(now, token, std::move(request), *member, id);
    return add_member(now, token, std::move(request), id);
  }
  const auto id = new_member_id(request.client_id);
  if (!request.member_id_required) return add_member(now, token, std::move(request), id);
  const auto expires_at = now.mono + std::chrono::milliseconds(request.session_timeout_ms);
  handed_out_.emplace(id, HandedOut{expires_at, token});
  schedule(expires_at);
  actions_.reply(token, GroupJoinResult{.error = ErrorCode::kMemberIdRequired, .member_id = id});
}

void Group::join_known(Moment now, ReplyToken token, GroupJoin request) {
  const auto id = request.member_id;
  if (!request.group_instance_id && handed_out_.contains(id))
    return add_member(now, token, std::move(request), id);
  const auto error = member_error(id, request.group_instance_id);
  if (error != ErrorCode::kNone)
    return actions_.reply(token, GroupJoinResult{.error = error, .member_id = id});

  auto& member = *members_.find(id);
  const bool completing = state_ == GroupState::kCompletingRebalance;
  // A leader joins again in a stable group when it has seen something that changes what is to be assigned.
  const bool stable_follower = state_ == GroupState::kStable && members_.leader() != id;
  if ((completing || stable_follower) && !member.joining && member.protocols == request.protocols) {
    member.last_step = token;
    return actions_.reply(token, generation_for(member));  // it missed the answer
  }
  update_member(member, token, std::move(request));
  touch(now, member);
  if (state_ != GroupState::kPreparingRebalance) prepare_rebalance(now);
}

void Group::add_member(Moment now, ReplyToken token, GroupJoin request, const std::string& id) {
  handed_out_.erase(id);
  if (state_ == GroupState::kPreparingRebalance && generation_ == 0) initial_joined_ = true;
  GroupMember member{.id = id,
                     .instance_id = std::move(request.group_instance_id),
                     .client_id = std::move(request.client_id),
                     .client_host = std::move(request.client_host),
                     .rebalance_timeout_ms = request.rebalance_timeout_ms,
                     .session_timeout_ms = request.session_timeout_ms,
                     .is_new = true,
                     .last_step = token,
                     .protocols = std::move(request.protocols),
                     .joining = token};
  touch(now, members_.add(std::move(member), request.protocol_type));
  if (state_ != GroupState::kPreparingRebalance) prepare_rebalance(now);
}

void Group::update_member(GroupMember& member, ReplyToken token, GroupJoin request) {
  // The same member asks again, so nobody waits for the former answer.
  answer_join(member, {.error = ErrorCode::kRebalanceInProgress, .member_id = member.id});
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.session_timeout_ms = request.session_timeout_ms;
  members_.set_protocols(member, std::move(request.protocols));
  members_.set_joining(member, token);
  member.last_step = token;
}

/// KIP-345. Who has the instance id from now on is the new one. In a stable group it takes over what was
/// assigned, without a rebalance, unless it has come for other topics or changes what all support.
void Group::replace_static(Moment now, ReplyToken token, GroupJoin request, GroupMember& member,
                           const std::string& new_id) {
  answer_join(member, {.error = ErrorCode::kFencedInstanceId, .member_id = member.id});
  answer_sync(member, {.error = ErrorCode::kFencedInstanceId});
  StaticWrite undo{.token = token,
                   .instance_id = *member.instance_id,
                   .new_id = new_id,
                   .former_leader = members_.leader(),
                   .can_skip_assignment = request.can_skip_assignment,
                   .former = member};
  auto& renamed = members_.rename(std::string(member.id), new_id);
  update_member(renamed, token, std::move(request));
  touch(now, renamed);
  if (state_ == GroupState::kPreparingRebalance) return;
  const bool stable = state_ == GroupState::kStable;
  if (!stable || members_.select_protocol() != protocol_ || members_.topics(protocol_) != topics_)
    return prepare_rebalance(now);

  std::map<std::string, Bytes> assignments;
  for (const auto& [id, each] : members_) assignments.emplace(id, each.assignment);
  write({metadata_record(assignments)}, std::move(undo));
}

void Group::done(Moment now, StaticWrite write, ErrorCode error) {
  auto* member = members_.find(write.new_id);
  // If a rebalance has begun meanwhile, it has answered or will.
  if (state_ != GroupState::kStable || member == nullptr || member->joining != write.token) return;
  if (error != ErrorCode::kNone) {
    answer_join(*member, {.error = group_error_of(error)});
    auto& former = members_.rename(write.new_id, write.former.id);
    members_.set_protocols(former, std::move(write.former.protocols));
    former.client_id = std::move(write.former.client_id);
    former.client_host = std::move(write.former.client_host);
    former.rebalance_timeout_ms = write.former.rebalance_timeout_ms;
    former.session_timeout_ms = write.former.session_timeout_ms;
    return touch(now, former);
  }
  auto result = generation_for(*member);
  const bool leads = members_.leader() == member->id;
  if (write.can_skip_assignment) {
    result.skip_assignment = leads;
  } else {
    // A leader of before KIP-814 would assign again, to nobody's use: it is not told that it leads.
    result.leader = write.former_leader;
    result.members.clear();
  }
  answer_join(*member, std::move(result));
  touch(now, *member);
}

std::string Group::new_member_id(const std::string& prefix) {
  const auto uuid = uuid_from_random(random_.next_u64(), random_.next_u64());
  std::string id = prefix + "-";
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += fmt::format("{:02x}", uuid.bytes[i]);
  }
  return id;
}

GroupJoinResult Group::generation_for(const GroupMember& member) const {
  GroupJoinResult result{.member_id = member.id,
                         .generation_id = generation_,
                         .protocol_type = members_.protocol_type(),
                         .protocol_name = protocol_,
                         .leader = members_.leader()};
  if (member.id != members_.leader()) return result;
  for (const auto& [id, each] : members_) {
    const auto* protocol = each.protocol(*protocol_);
    result.members.push_back({id, each.instance_id, protocol == nullptr ? Bytes() : protocol->metadata});
  }
  return result;
}

}  // namespace tributary
