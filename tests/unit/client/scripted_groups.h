#pragma once
// The consumer groups of a scripted cluster. Joins are answered at once, so each joiner leads its generation.

#include <map>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"
#include "common/protocol/messages/delete_groups.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/leave_group.h"
#include "common/protocol/messages/list_groups.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_delete.h"
#include "common/protocol/messages/offset_fetch.h"
#include "common/protocol/messages/sync_group.h"

namespace tributary {

struct ScriptedMember {
  std::string client_id = "scripted";
  Bytes metadata;
  Bytes assignment;
};

struct ScriptedGroup {
  std::map<std::string, ScriptedMember> members;
  std::map<TopicPartition, Offset> offsets;
  std::int32_t generation = 0;
  [[nodiscard]] std::string state() const { return members.empty() ? "Empty" : "Stable"; }
};

/// `fault`: what to answer in place of doing it. Responses point into the groups, which must not change until they are
/// encoded. One thread at a time.
class ScriptedGroups {
 public:
  std::map<std::string, ScriptedGroup> groups;

  ListGroupsResponse serve(const ListGroupsRequest& request, ErrorCode fault) const;
  DescribeGroupsResponse serve(const DescribeGroupsRequest& request, ErrorCode fault) const;
  DeleteGroupsResponse serve(const DeleteGroupsRequest& request, ErrorCode fault);
  OffsetFetchResponse serve(const OffsetFetchRequest& request, ErrorCode fault) const;
  OffsetCommitResponse serve(const OffsetCommitRequest& request, ErrorCode fault);
  OffsetDeleteResponse serve(const OffsetDeleteRequest& request, ErrorCode fault);
  JoinGroupResponse serve(const JoinGroupRequest& request, ErrorCode fault);
  SyncGroupResponse serve(const SyncGroupRequest& request, ErrorCode fault);
  HeartbeatResponse serve(const HeartbeatRequest& request, ErrorCode fault) const;
  LeaveGroupResponse serve(const LeaveGroupRequest& request, ErrorCode fault);

 private:
  [[nodiscard]] ErrorCode member_error(const std::string& group, const std::string& member, GenerationId generation) const;
  int next_member_ = 1;
};

}  // namespace tributary
