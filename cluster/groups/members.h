#pragma once
// The members of a group, the protocols that all of them support, and their leader.
// Internal to the folder.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/groups/group_types.h"

namespace tributary {

struct GroupMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::int32_t rebalance_timeout_ms = 0;
  std::int32_t session_timeout_ms = 0;
  Bytes assignment;
  bool is_new = false;                      // it has not been told its id, so it sends no heartbeats
  MonoTime expires_at = MonoTime::max();    // unless it waits for an answer and is not new
  std::optional<ReplyToken> syncing;        // the sync that waits for the assignment
  std::optional<ReplyToken> last_step;      // its last join or sync, until it has its assignment

  // Changed through GroupMembers, which counts them.
  std::vector<GroupProtocol> protocols;     // each name once
  std::optional<ReplyToken> joining;        // the join that waits for the others
  bool owes_sync = false;                   // it was told of the generation and has not synced

  [[nodiscard]] const GroupProtocol* protocol(std::string_view name) const;
  /// Waiting for an answer it is not expected to send heartbeats.
  [[nodiscard]] bool may_expire() const { return is_new || (!joining && !syncing); }
};

[[nodiscard]] std::size_t protocol_bytes(const std::vector<GroupProtocol>& protocols);

/// In the order of member ids. The protocol type stays when the last member goes.
class GroupMembers {
 public:
  using Table = std::map<std::string, GroupMember, std::less<>>;

  [[nodiscard]] Table::iterator begin() { return members_.begin(); }
  [[nodiscard]] Table::iterator end() { return members_.end(); }
  [[nodiscard]] Table::const_iterator begin() const { return members_.begin(); }
  [[nodiscard]] Table::const_iterator end() const { return members_.end(); }
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] bool empty() const { return members_.empty(); }

  [[nodiscard]] GroupMember* find(std::string_view id);
  /// Who has this instance id; nullptr if nobody.
  [[nodiscard]] GroupMember* find_static(std::string_view instance_id);

  /// Of the first member it takes the protocol type. Neither id nor instance id may be there already.
  GroupMember& add(GroupMember member, const std::string& protocol_type);
  /// Nobody may wait for its answers. If it was the leader, another one becomes it.
  void remove(std::string_view id);
  /// Gives a member another id; what it is and whether it leads stays.
  GroupMember& rename(std::string_view id, const std::string& new_id);

  void set_protocols(GroupMember& member, std::vector<GroupProtocol> protocols);
  void set_joining(GroupMember& member, std::optional<ReplyToken> token);
  void set_owes_sync(GroupMember& member, bool owes);

  [[nodiscard]] std::size_t joining_count() const { return joining_count_; }
  [[nodiscard]] bool all_joining() const { return joining_count_ == members_.size(); }
  [[nodiscard]] bool any_owes_sync() const { return owing_count_ > 0; }

  /// The first member, until it is gone; empty if there are no members.
  [[nodiscard]] const std::string& leader() const { return leader_; }
  void restore_leader(const std::string& id) { leader_ = id; }
  /// A leader that has not joined gives way to one who has. False: nobody has joined.
  [[nodiscard]] bool elect_joining_leader();

  [[nodiscard]] const std::string& protocol_type() const { return protocol_type_; }
  void restore_protocol_type(std::string type) { protocol_type_ = std::move(type); }
  /// All members support at least one of these. `member_type` must be the group's.
  [[nodiscard]] bool support(const std::string& member_type, const std::vector<GroupProtocol>& protocols) const;
  /// Every member votes for the first of its protocols that all support; of equals, the name that sorts first.
  /// There must be a member.
  [[nodiscard]] std::string select_protocol() const;

  /// What the others say about themselves, in bytes.
  [[nodiscard]] std::size_t protocol_bytes_without(std::string_view id) const;
  [[nodiscard]] std::int32_t rebalance_timeout_max_ms() const;
  /// Nothing if the members are no consumers, or one's subscription cannot be read.
  [[nodiscard]] std::optional<std::set<std::string>> topics(const std::optional<std::string>& protocol) const;

 private:
  void count_protocols(const GroupMember& member, int by);

  Table members_;
  std::map<std::string, std::string, std::less<>> static_ids_;  // instance id -> member id
  std::map<std::string, std::size_t, std::less<>> supporters_;  // of a protocol
  std::string protocol_type_;
  std::string leader_;
  std::size_t protocol_bytes_ = 0;
  std::size_t joining_count_ = 0;
  std::size_t owing_count_ = 0;
};

}  // namespace tributary
