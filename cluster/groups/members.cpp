#include "cluster/groups/members.h"

#include <algorithm>

#include "cluster/groups/subscription.h"
#include "common/base/check.h"

namespace tributary {

const GroupProtocol* GroupMember::protocol(std::string_view name) const {
  const auto found = std::ranges::find(protocols, name, &GroupProtocol::name);
  return found == protocols.end() ? nullptr : &*found;
}

std::size_t protocol_bytes(const std::vector<GroupProtocol>& protocols) {
  std::size_t bytes = 0;
  for (const auto& protocol : protocols) bytes += protocol.name.size() + protocol.metadata.size();
  return bytes;
}

std::size_t GroupMembers::protocol_bytes_without(std::string_view id) const {
  const auto found = members_.find(id);
  return protocol_bytes_ - (found == members_.end() ? 0 : protocol_bytes(found->second.protocols));
}

GroupMember* GroupMembers::find(std::string_view id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

GroupMember* GroupMembers::find_static(std::string_view instance_id) {
  const auto found = static_ids_.find(instance_id);
  return found == static_ids_.end() ? nullptr : find(found->second);
}

GroupMember& GroupMembers::add(GroupMember member, const std::string& protocol_type) {
  if (members_.empty()) protocol_type_ = protocol_type;
  CHECK(protocol_type == protocol_type_, "a {} among {}s", protocol_type, protocol_type_);
  if (leader_.empty()) leader_ = member.id;
  if (member.instance_id) {
    const auto added = static_ids_.emplace(*member.instance_id, member.id).second;
    CHECK(added, "instance {} is there twice", *member.instance_id);
  }
  const auto id = member.id;
  const auto [found, added] = members_.emplace(id, std::move(member));
  CHECK(added, "member {} is there twice", id);
  count_protocols(found->second, 1);
  joining_count_ += found->second.joining ? 1 : 0;
  owing_count_ += found->second.owes_sync ? 1 : 0;
  return found->second;
}

void GroupMembers::remove(std::string_view id) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  auto& member = found->second;
  CHECK(!member.joining && !member.syncing, "member {} is still to be answered", member.id);
  set_owes_sync(member, false);
  count_protocols(member, -1);
  if (member.instance_id) static_ids_.erase(*member.instance_id);
  const bool led = leader_ == member.id;
  members_.erase(found);
  if (led) leader_ = members_.empty() ? std::string() : members_.begin()->first;
}

GroupMember& GroupMembers::rename(std::string_view id, const std::string& new_id) {
  auto node = members_.extract(members_.find(id));
  CHECK(!node.empty(), "no member {}", id);
  if (leader_ == id) leader_ = new_id;
  node.key() = new_id;
  node.mapped().id = new_id;
  if (const auto& instance = node.mapped().instance_id) static_ids_[*instance] = new_id;
  const auto inserted = members_.insert(std::move(node));
  CHECK(inserted.inserted, "member {} is there twice", new_id);
  return inserted.position->second;
}

void GroupMembers::set_protocols(GroupMember& member, std::vector<GroupProtocol> protocols) {
  count_protocols(member, -1);
  member.protocols = std::move(protocols);
  count_protocols(member, 1);
}

void GroupMembers::set_joining(GroupMember& member, std::optional<ReplyToken> token) {
  joining_count_ += token ? 1 : 0;
  joining_count_ -= member.joining ? 1 : 0;
  member.joining = token;
}

void GroupMembers::set_owes_sync(GroupMember& member, bool owes) {
  owing_count_ += owes ? 1 : 0;
  owing_count_ -= member.owes_sync ? 1 : 0;
  member.owes_sync = owes;
}

bool GroupMembers::elect_joining_leader() {
  const auto* leader = find(leader_);
  if (leader != nullptr && leader->joining) return true;
  const auto joined = std::ranges::find_if(members_, [](const auto& m) { return m.second.joining.has_value(); });
  if (joined == members_.end()) return false;
  leader_ = joined->first;
  return true;
}

bool GroupMembers::support(const std::string& member_type, const std::vector<GroupProtocol>& protocols) const {
  if (member_type != protocol_type_) return false;
  return std::ranges::any_of(protocols, [&](const GroupProtocol& protocol) {
    const auto found = supporters_.find(protocol.name);
    return (found == supporters_.end() ? 0 : found->second) == members_.size();
  });
}

std::string GroupMembers::select_protocol() const {
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    const auto choice = std::ranges::find_if(member.protocols, [&](const GroupProtocol& protocol) {
      return supporters_.find(protocol.name)->second == members_.size();
    });
    CHECK(choice != member.protocols.end(), "member {} supports no protocol of all", id);
    ++votes[choice->name];
  }
  CHECK(!votes.empty(), "no members");
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  return std::string(std::ranges::max_element(votes, less)->first);
}

std::int32_t GroupMembers::rebalance_timeout_max_ms() const {
  std::int32_t timeout_ms = 0;
  for (const auto& [id, member] : members_) timeout_ms = std::max(timeout_ms, member.rebalance_timeout_ms);
  return timeout_ms;
}

std::optional<std::set<std::string>> GroupMembers::topics(const std::optional<std::string>& protocol) const {
  if (protocol_type_ != kConsumerProtocolType) return std::nullopt;
  std::set<std::string> all;
  if (members_.empty()) return all;
  if (!protocol) return std::nullopt;
  for (const auto& [id, member] : members_) {
    const auto* own = member.protocol(*protocol);
    auto topics = own == nullptr ? std::nullopt : subscribed_topics(own->metadata);
    if (!topics) return std::nullopt;
    all.merge(*topics);
  }
  return all;
}

void GroupMembers::count_protocols(const GroupMember& member, int by) {
  const auto bytes = protocol_bytes(member.protocols);
  protocol_bytes_ = by > 0 ? protocol_bytes_ + bytes : protocol_bytes_ - bytes;
  for (const auto& protocol : member.protocols) {
    const auto found = supporters_.try_emplace(protocol.name, 0).first;
    found->second += static_cast<std::size_t>(by);
    if (found->second == 0) supporters_.erase(found);
  }
}

}  // namespace tributary
