// FindCoordinator, and the membership and administration of groups: translated for the coordinator, and back.

#include <set>

#include "cluster/server/cluster_image.h"
#include "cluster/server/controller.h"
#include "cluster/server/group_call.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "common/protocol/messages/delete_groups.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/leave_group.h"
#include "common/protocol/messages/list_groups.h"
#include "common/protocol/messages/sync_group.h"

namespace tributary {
namespace {

/// Bits of AclOperation that a broker without authorisation grants for a group: read, delete, describe.
constexpr std::int32_t kGroupOperations = 1 << 3 | 1 << 6 | 1 << 8;

Bytes copied(ByteView bytes) { return to_bytes(bytes); }

/// As Kafka shows it: "/127.0.0.1".
std::string client_host(const Call& call) {
  auto host = call.peer().substr(0, call.peer().rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return "/" + host;
}

/// Each once, in their order: the answer must not outgrow what there is.
std::vector<std::string> distinct(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  std::set<std::string_view> seen;
  for (const auto& name : names) {
    if (seen.insert(name).second) all.push_back(name);
  }
  return all;
}

/// Counts the parts of an answer that come from several shards; the last one finishes it. Home shard only.
template <class Response>
struct Gathering {
  Response response;
  std::size_t outstanding = 0;
  ErrorCode first_error = ErrorCode::kNone;

  void part_done(const CallPtr& call, ErrorCode error) {
    if (first_error == ErrorCode::kNone) first_error = error;
    if (--outstanding == 0) call->reply(response, first_error);
  }
};

void answer_find_coordinator(const CallPtr& call, const FindCoordinatorRequest& request, ErrorCode error,
                             const std::string& message) {
  constexpr std::int16_t kFirstVersionWithKeys = 4;
  const auto endpoint = call->server().endpoint(call->listener());
  const auto coordinator = [&](const std::string& key) {
    FindCoordinatorResponse::Coordinator found{.key = key, .error_code = error};
    if (error != ErrorCode::kNone) {
      found.error_message = message;
      found.port = -1;
      return found;
    }
    found.node_id = call->server().options.node_id;
    found.host = endpoint.host;
    found.port = endpoint.port;
    return found;
  };
  FindCoordinatorResponse response;
  if (call->version() >= kFirstVersionWithKeys) {
    for (const auto& key : request.coordinator_keys) response.coordinators.push_back(coordinator(key));
  } else {
    auto found = coordinator(request.key);
    response.error_code = error;
    response.error_message = found.error_message;
    response.node_id = found.node_id;
    response.host = found.host;
    response.port = found.port;
  }
  call->reply(response, error);
}

}  // namespace

// The first one creates the offsets topic, and is answered when that is there.
void handle_find_coordinator(CallPtr call) {
  auto request = call->decode<FindCoordinatorRequest>();
  if (!request) return;
  if (request->key_type != CoordinatorKeyType::kGroup) {
    // Fatal for every client, as it should be: trying again does not help.
    return answer_find_coordinator(call, *request, ErrorCode::kInvalidRequest, "transactions are not served");
  }
  if (call->home().image()->find(kOffsetsTopic)) return answer_find_coordinator(call, *request, ErrorCode::kNone, "");
  auto& server = call->server();
  server.controller->create_topics(
      {offsets_topic(server.options)}, false, call->home(),
      [call, request = *std::move(request)](const std::vector<TopicOutcome>& outcomes) {
        const auto& outcome = outcomes.front();
        const bool there = outcome.error == ErrorCode::kNone || outcome.error == ErrorCode::kTopicAlreadyExists;
        answer_find_coordinator(call, request, there ? ErrorCode::kNone : ErrorCode::kCoordinatorNotAvailable,
                                fmt::format("the topic {} cannot be created: {}", kOffsetsTopic, outcome.message));
      });
}

// ---- Membership --------------------------------------------------------------------------------------

void handle_join_group(CallPtr call) {
  auto request = call->decode<JoinGroupRequest>();
  if (!request) return;
  constexpr std::int16_t kFirstVersionWithMemberIdRequired = 4, kFirstVersionWithSkipping = 9;
  GroupJoin join;
  join.group_id = request->group_id;
  join.member_id = request->member_id;
  join.group_instance_id = request->group_instance_id;
  join.member_id_required = call->version() >= kFirstVersionWithMemberIdRequired;
  join.can_skip_assignment = call->version() >= kFirstVersionWithSkipping;
  join.client_id = call->header().client_id.value_or("");
  join.client_host = client_host(*call);
  join.session_timeout_ms = request->session_timeout_ms;
  join.rebalance_timeout_ms = call->version() == 0 ? request->session_timeout_ms : request->rebalance_timeout_ms;
  join.protocol_type = request->protocol_type;
  for (const auto& [name, metadata] : request->protocols) join.protocols.push_back({name, copied(metadata)});
  ask_group_watched<GroupJoinResult>(
      call, request->group_id, request->member_id,
      [join](GroupCoordinator& groups, Moment now, ReplyToken token) { groups.join(now, token, join); },
      [call](const GroupJoinResult& result) {
        constexpr std::int16_t kFirstVersionWithNullName = 7;
        JoinGroupResponse response;
        response.error_code = result.error;
        response.generation_id = GenerationId(result.generation_id);
        response.protocol_type = result.protocol_type;
        response.protocol_name = result.protocol_name;
        if (call->version() < kFirstVersionWithNullName && !response.protocol_name) response.protocol_name.emplace();
        response.leader = result.leader;
        response.skip_assignment = result.skip_assignment;
        response.member_id = result.member_id;
        for (const auto& member : result.members) {
          response.members.push_back({member.member_id, member.group_instance_id, member.metadata});
        }
        call->reply(response, result.error);
      });
}

void handle_sync_group(CallPtr call) {
  const auto request = call->decode<SyncGroupRequest>();
  if (!request) return;
  GroupSync sync;
  sync.group_id = request->group_id;
  sync.member_id = request->member_id;
  sync.generation_id = request->generation_id.value();
  sync.group_instance_id = request->group_instance_id;
  sync.protocol_type = request->protocol_type;
  sync.protocol_name = request->protocol_name;
  for (const auto& [member, assignment] : request->assignments) sync.assignments[member] = copied(assignment);
  ask_group_watched<GroupSyncResult>(
      call, request->group_id, request->member_id,
      [sync](GroupCoordinator& groups, Moment now, ReplyToken token) { groups.sync(now, token, sync); },
      [call](const GroupSyncResult& result) {
        SyncGroupResponse response;
        response.error_code = result.error;
        response.protocol_type = result.protocol_type;
        response.protocol_name = result.protocol_name;
        response.assignment = result.assignment;
        call->reply(response, result.error);
      });
}

void handle_heartbeat(CallPtr call) {
  const auto request = call->decode<HeartbeatRequest>();
  if (!request) return;
  const GroupHeartbeat heartbeat{request->group_id, request->member_id, request->generation_id.value(),
                                 request->group_instance_id};
  ask_group<GroupHeartbeatResult>(
      call, request->group_id,
      [heartbeat](GroupCoordinator& groups, Moment now, ReplyToken token) { groups.heartbeat(now, token, heartbeat); },
      [call](const GroupHeartbeatResult& result) {
        HeartbeatResponse response;
        response.error_code = result.error;
        call->reply(response, result.error);
      });
}

void handle_leave_group(CallPtr call) {
  const auto request = call->decode<LeaveGroupRequest>();
  if (!request) return;
  constexpr std::int16_t kFirstVersionWithMembers = 3;
  const bool many = call->version() >= kFirstVersionWithMembers;
  GroupLeave leave{.group_id = request->group_id, .members = {}};
  if (!many) leave.members.push_back({request->member_id, std::nullopt});
  for (const auto& member : request->members) leave.members.push_back({member.member_id, member.group_instance_id});
  ask_group<GroupLeaveResult>(
      call, request->group_id,
      [leave](GroupCoordinator& groups, Moment now, ReplyToken token) { groups.leave(now, token, leave); },
      [call, many](const GroupLeaveResult& result) {
        LeaveGroupResponse response;
        response.error_code = result.error;
        if (many) {
          for (const auto& [member, instance, error] : result.members) {
            response.members.push_back({member, instance, error});
          }
        } else if (result.error == ErrorCode::kNone && !result.members.empty()) {
          response.error_code = result.members.front().error;
        }
        call->reply(response, response.error_code);
      });
}

// ---- Administration ----------------------------------------------------------------------------------

void handle_describe_groups(CallPtr call) {
  const auto request = call->decode<DescribeGroupsRequest>();
  if (!request) return;
  // The descriptions own what the response points to.
  struct Description {
    std::string group_id;
    GroupDescription description;
  };
  struct Descriptions {
    std::vector<Description> groups;
    std::size_t outstanding = 0;
  };
  auto all = std::make_shared<Descriptions>();
  const auto finish = [call, all, operations = request->include_authorized_operations] {
    DescribeGroupsResponse response;
    auto first_error = ErrorCode::kNone;
    for (const auto& [group_id, description] : all->groups) {
      auto& group = response.groups.emplace_back();
      group.error_code = description.error;
      group.group_id = group_id;
      group.state = name_of(description.state);
      group.protocol_type = description.protocol_type;
      group.protocol_name = description.protocol;
      if (operations) group.authorized_operations = kGroupOperations;
      for (const auto& member : description.members) {
        group.members.push_back({member.member_id, member.group_instance_id, member.client_id, member.client_host,
                                 member.metadata, member.assignment});
      }
      if (first_error == ErrorCode::kNone) first_error = description.error;
    }
    call->reply(response, first_error);
  };
  const auto ids = distinct(request->groups);
  if (ids.empty()) return finish();
  all->outstanding = ids.size();
  all->groups.resize(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& group_id = ids[i];
    read_groups<GroupDescription>(
        call, groups_of(*call, group_id),
        [group_id](const GroupCoordinator& groups) { return groups.describe(group_id); },
        [all, i, group_id, finish](GroupDescription description) {
          all->groups[i] = {group_id, std::move(description)};
          if (--all->outstanding == 0) finish();
        });
  }
}

void handle_list_groups(CallPtr call) {
  const auto request = call->decode<ListGroupsRequest>();
  if (!request) return;
  auto all = std::make_shared<Gathering<ListGroupsResponse>>();
  all->outstanding = all_groups(*call).size();
  for (const auto& groups : all_groups(*call)) {
    read_groups<GroupList>(
        call, *groups,
        [states = request->states_filter](const GroupCoordinator& coordinator) { return coordinator.list(states); },
        [call, all](const GroupList& list) {
          for (const auto& group : list.groups) {
            all->response.groups.push_back({group.group_id, group.protocol_type, std::string(name_of(group.state))});
          }
          if (all->response.error_code == ErrorCode::kNone) all->response.error_code = list.error;
          all->part_done(call, list.error);
        });
  }
}

void handle_delete_groups(CallPtr call) {
  const auto request = call->decode<DeleteGroupsRequest>();
  if (!request) return;
  const auto groups = distinct(request->groups);
  auto all = std::make_shared<Gathering<DeleteGroupsResponse>>();
  all->outstanding = groups.size();
  all->response.groups.resize(groups.size());
  if (groups.empty()) return call->reply(all->response, ErrorCode::kNone);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto& group_id = groups[i];
    all->response.groups[i].group_id = group_id;
    ask_group<GroupDeleteResult>(
        call, group_id,
        [group_id](GroupCoordinator& coordinator, Moment, ReplyToken token) { coordinator.delete_group(token, group_id); },
        [call, all, i](const GroupDeleteResult& result) {
          all->response.groups[i].error_code = result.error;
          all->part_done(call, result.error);
        });
  }
}

}  // namespace tributary
