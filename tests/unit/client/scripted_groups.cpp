#include "tests/unit/client/scripted_groups.h"

#include <algorithm>

#include <fmt/format.h>

namespace tributary {

ErrorCode ScriptedGroups::member_error(const std::string& group, const std::string& member, GenerationId generation) const {
  const auto found = groups.find(group);
  if (found == groups.end() || !found->second.members.contains(member)) return ErrorCode::kUnknownMemberId;
  return generation.value() == found->second.generation ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
}

ListGroupsResponse ScriptedGroups::serve(const ListGroupsRequest& request, ErrorCode fault) const {
  ListGroupsResponse response;
  response.error_code = fault;
  for (const auto& [id, group] : groups) {
    const bool wanted = request.states_filter.empty() ||
                        std::ranges::find(request.states_filter, group.state()) != request.states_filter.end();
    if (wanted && fault == ErrorCode::kNone) response.groups.push_back({id, "consumer", group.state()});
  }
  return response;
}

DescribeGroupsResponse ScriptedGroups::serve(const DescribeGroupsRequest& request, ErrorCode fault) const {
  DescribeGroupsResponse response;
  for (const auto& id : request.groups) {
    auto& answered = response.groups.emplace_back();
    answered.error_code = fault;
    answered.group_id = id;
    answered.state = "Dead";
    const auto found = groups.find(id);
    if (found == groups.end()) continue;
    answered.state = found->second.state();
    answered.protocol_type = "consumer";
    if (!found->second.members.empty()) answered.protocol_name = "range";
    for (const auto& [member, told] : found->second.members)
      answered.members.push_back({member, {}, told.client_id, "/127.0.0.1", told.metadata, told.assignment});
  }
  return response;
}

DeleteGroupsResponse ScriptedGroups::serve(const DeleteGroupsRequest& request, ErrorCode fault) {
  DeleteGroupsResponse response;
  for (const auto& id : request.groups) {
    auto& answered = response.groups.emplace_back();
    answered.group_id = id;
    answered.error_code = fault;
    if (fault != ErrorCode::kNone) continue;
    const auto found = groups.find(id);
    if (found == groups.end()) answered.error_code = ErrorCode::kGroupIdNotFound;
    else if (!found->second.members.empty()) answered.error_code = ErrorCode::kNonEmptyGroup;
    else groups.erase(found);
  }
  return response;
}

// ---- Offsets ---------------------------------------------------------------------------------------

OffsetFetchResponse ScriptedGroups::serve(const OffsetFetchRequest& request, ErrorCode fault) const {
  OffsetFetchResponse response;
  response.error_code = fault;
  const auto found = groups.find(request.group_id);
  if (fault != ErrorCode::kNone || found == groups.end()) return response;
  for (const auto& [partition, offset] : found->second.offsets) {
    auto& topic = response.topics.emplace_back();
    topic.name = partition.topic;
    auto& answered = topic.partitions.emplace_back();
    answered.index = partition.partition;
    answered.committed_offset = offset;
  }
  return response;
}

OffsetCommitResponse ScriptedGroups::serve(const OffsetCommitRequest& request, ErrorCode fault) {
  auto error = fault;
  const auto found = groups.find(request.group_id);
  const bool outsider = request.generation_id == kNoGenerationId && (found == groups.end() || found->second.members.empty());
  if (error == ErrorCode::kNone && !outsider) error = member_error(request.group_id, request.member_id, request.generation_id);
  OffsetCommitResponse response;
  for (const auto& topic : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const auto& partition : topic.partitions) {
      if (error == ErrorCode::kNone)
        groups[request.group_id].offsets[{topic.name, partition.index}] = partition.committed_offset;
      answered.partitions.push_back({partition.index, error});
    }
  }
  return response;
}

OffsetDeleteResponse ScriptedGroups::serve(const OffsetDeleteRequest& request, ErrorCode fault) {
  OffsetDeleteResponse response;
  response.error_code = fault;
  const auto found = groups.find(request.group_id);
  if (fault == ErrorCode::kNone && found == groups.end()) response.error_code = ErrorCode::kGroupIdNotFound;
  if (response.error_code != ErrorCode::kNone) return response;
  for (const auto& topic : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const auto index : topic.partitions) {
      if (found->second.members.empty()) found->second.offsets.erase({topic.name, index});
      answered.partitions.push_back(
          {index, found->second.members.empty() ? ErrorCode::kNone : ErrorCode::kGroupSubscribedToTopic});
    }
  }
  return response;
}

// ---- Membership ------------------------------------------------------------------------------------

JoinGroupResponse ScriptedGroups::serve(const JoinGroupRequest& request, ErrorCode fault) {
  JoinGroupResponse response;
  response.error_code = fault;
  response.member_id = request.member_id;
  if (fault != ErrorCode::kNone) return response;
  auto& group = groups[request.group_id];
  if (request.member_id.empty()) {
    response.error_code = ErrorCode::kMemberIdRequired;
    response.member_id = fmt::format("member-{}", next_member_++);
    return response;
  }
  auto& joined = group.members[request.member_id];
  joined.metadata = to_bytes(request.protocols.at(0).metadata);
  joined.assignment.clear();
  response.generation_id = GenerationId(++group.generation);
  response.protocol_type = request.protocol_type;
  response.protocol_name = request.protocols.at(0).name;
  response.leader = request.member_id;
  for (const auto& [member, told] : group.members) response.members.push_back({member, std::nullopt, told.metadata});
  return response;
}

SyncGroupResponse ScriptedGroups::serve(const SyncGroupRequest& request, ErrorCode fault) {
  SyncGroupResponse response;
  response.error_code = fault != ErrorCode::kNone ? fault : member_error(request.group_id, request.member_id, request.generation_id);
  if (response.error_code != ErrorCode::kNone) return response;
  auto& group = groups.at(request.group_id);
  for (const auto& [member, assignment] : request.assignments)
    if (const auto known = group.members.find(member); known != group.members.end())
      known->second.assignment = to_bytes(assignment);
  response.protocol_type = "consumer";
  response.protocol_name = request.protocol_name;
  response.assignment = group.members.at(request.member_id).assignment;
  return response;
}

HeartbeatResponse ScriptedGroups::serve(const HeartbeatRequest& request, ErrorCode fault) const {
  HeartbeatResponse response;
  response.error_code = fault != ErrorCode::kNone ? fault : member_error(request.group_id, request.member_id, request.generation_id);
  return response;
}

LeaveGroupResponse ScriptedGroups::serve(const LeaveGroupRequest& request, ErrorCode fault) {
  LeaveGroupResponse response;
  response.error_code = fault;
  for (const auto& leaving : request.members) {
    const bool was_there = fault == ErrorCode::kNone && groups[request.group_id].members.erase(leaving.member_id) > 0;
    response.members.push_back({leaving.member_id, std::nullopt, was_there ? ErrorCode::kNone : ErrorCode::kUnknownMemberId});
  }
  return response;
}

}  // namespace tributary
