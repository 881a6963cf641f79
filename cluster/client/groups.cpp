#include "cluster/client/groups.h"

#include <algorithm>
#include <thread>

#include "cluster/client/consumer_protocol.h"
#include "common/protocol/messages/delete_groups.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/list_groups.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_delete.h"
#include "common/protocol/messages/offset_fetch.h"

namespace tributary {
namespace {

constexpr Versions kFindOne{0, 3};        // 4 asks for several keys
constexpr Versions kFetchOfOneGroup{2, 7};  // from 2 on all partitions can be asked for; 8 takes several groups

/// `attempt(deadline)` until it succeeds, fails for good, or the deadline comes.
template <class Attempt>
auto with_retries(ClusterClient& client, MonoTime deadline, Attempt attempt) -> decltype(attempt(deadline)) {
  for (int tries = 0;; ++tries) {
    auto result = attempt(std::min(deadline, deadline_in(client.options().request_timeout)));
    if (result) return result;
    const bool passes = result.error().code == Errc::kUnavailable || result.error().code == Errc::kTimeout;
    const auto wait = backoff(tries);
    if (!passes || system_clock().mono_now() + wait >= deadline) return result;
    std::this_thread::sleep_for(wait);
  }
}

/// `ask(coordinator, deadline)`, each time of the one that is found then.
template <class Ask>
auto with_coordinator(ClusterClient& client, const std::string& group, MonoTime deadline, Ask ask) {
  return with_retries(client, deadline, [&](MonoTime limit) -> decltype(ask(std::declval<BrokerConnection&>(), limit)) {
    ASSIGN_OR_RETURN(const auto coordinator, find_coordinator(client, group, limit));
    return ask(*coordinator, limit);
  });
}

Error has_members(const std::string& group) {
  return {Errc::kLocked, fmt::format("group {} has members: its consumers must be stopped first", group)};
}

Error no_such_group(const std::string& group) {
  return {Errc::kNotFound, fmt::format("group {} does not exist", group)};
}

template <class Topic, class Value>
std::vector<Topic> by_topic(const std::vector<Value>& values, auto topic_of, auto partition_of) {
  std::vector<Topic> topics;
  for (const auto& value : values) {
    if (topics.empty() || topics.back().name != topic_of(value)) topics.emplace_back().name = topic_of(value);
    topics.back().partitions.push_back(partition_of(value));
  }
  return topics;
}

/// The first error in a response of topics and partitions.
template <class Response>
Result<> partitions_ok(const std::string& what, const std::string& group, const Response& response) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      switch (partition.error_code) {
        case ErrorCode::kNone: continue;
        case ErrorCode::kUnknownTopicOrPartition:
          return fail(Errc::kNotFound, fmt::format("partition {} does not exist", TopicPartition{topic.name, partition.index}));
        // What an outsider is told while there are members: it is none of them, and in none of their generations.
        case ErrorCode::kUnknownMemberId:
        case ErrorCode::kIllegalGeneration:
        case ErrorCode::kRebalanceInProgress:
        case ErrorCode::kGroupSubscribedToTopic: return tl::unexpected<Error>(has_members(group));
        default:
          return fail_code(fmt::format("{} of group {} for {}", what, group, TopicPartition{topic.name, partition.index}),
                           partition.error_code);
      }
    }
  }
  return {};
}

Result<std::vector<GroupSummary>> groups_of(ClusterClient& client, BrokerId id,
                                            const std::vector<std::string>& states, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.broker(id));
  ListGroupsRequest request;
  ASSIGN_OR_RETURN(const auto version, broker->negotiate(ListGroupsRequest::api, ListGroupsRequest::valid, deadline));
  constexpr std::int16_t kFirstVersionWithStates = 4;
  if (!states.empty() && version < kFirstVersionWithStates)
    return fail(Errc::kUnsupported, fmt::format("{}: the broker does not tell the states of groups", broker->endpoint().url()));
  request.states_filter = states;
  ASSIGN_OR_RETURN(const auto answer, broker->call_version(request, version, deadline));
  if (answer.response.error_code != ErrorCode::kNone)
    return fail_code(fmt::format("groups of {}", broker->endpoint().url()), answer.response.error_code);
  std::vector<GroupSummary> groups;
  for (const auto& group : answer.response.groups) groups.push_back({group.group_id, group.protocol_type, group.state});
  return groups;
}

Result<GroupInfo> group_info_of(const std::string& asked, const DescribeGroupsResponse& response) {
  if (response.groups.size() != 1 || response.groups.front().group_id != asked)
    return fail(Errc::kCorrupt, fmt::format("group {}: the broker's answer does not speak of it", asked));
  const auto& group = response.groups.front();
  if (group.error_code == ErrorCode::kGroupIdNotFound || (group.error_code == ErrorCode::kNone && group.state == "Dead"))
    return tl::unexpected<Error>(no_such_group(asked));
  if (group.error_code != ErrorCode::kNone) return fail_code("group " + asked, group.error_code);
  GroupInfo info{{group.group_id, group.protocol_type, group.state}, group.protocol_name, {}};
  for (const auto& member : group.members) {
    auto& known = info.members.emplace_back();
    known = {member.member_id, member.group_instance_id, member.client_id, member.client_host, {}};
    // Groups of another protocol (Connect) have assignments that are theirs to read.
    if (group.protocol_type != kConsumerProtocol) continue;
    auto assigned = decode_assignment(member.assignment);
    if (!assigned) return in_context(fmt::format("group {}, member {}", asked, member.member_id), std::move(assigned).error());
    known.assigned = *std::move(assigned);
  }
  std::ranges::sort(info.members, {}, [](const auto& member) { return std::tie(member.client_id, member.member_id); });
  return info;
}

}  // namespace

Result<std::shared_ptr<BrokerConnection>> find_coordinator(ClusterClient& client, const std::string& group,
                                                           MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  FindCoordinatorRequest request;
  request.key = group;
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline, kFindOne));
  if (answer.response.error_code != ErrorCode::kNone)
    return fail_code("coordinator of group " + group, answer.response.error_code, answer.response.error_message);
  auto coordinator = client.broker(answer.response.node_id);
  if (coordinator) return coordinator;
  return fail(Errc::kUnavailable, fmt::format("coordinator of group {}: {}", group, coordinator.error().message));
}

Result<std::vector<GroupSummary>> list_groups(ClusterClient& client, const std::vector<std::string>& states,
                                              MonoTime deadline) {
  return with_retries(client, deadline, [&](MonoTime limit) -> Result<std::vector<GroupSummary>> {
    RETURN_IF_ERROR(client.any_broker(limit));  // reads the list of brokers
    std::vector<GroupSummary> groups;
    for (const auto id : client.brokers()) {
      ASSIGN_OR_RETURN(auto some, groups_of(client, id, states, limit));
      std::ranges::move(some, std::back_inserter(groups));
    }
    std::ranges::sort(groups, {}, &GroupSummary::id);
    return groups;
  });
}

Result<GroupInfo> describe_group(ClusterClient& client, const std::string& group, MonoTime deadline) {
  return with_coordinator(client, group, deadline, [&](BrokerConnection& coordinator, MonoTime limit) -> Result<GroupInfo> {
    DescribeGroupsRequest request;
    request.groups = {group};
    ASSIGN_OR_RETURN(const auto answer, coordinator.call(request, limit));
    return group_info_of(group, answer.response);
  });
}

Result<> delete_group(ClusterClient& client, const std::string& group, MonoTime deadline) {
  return with_coordinator(client, group, deadline, [&](BrokerConnection& coordinator, MonoTime limit) -> Result<> {
    DeleteGroupsRequest request;
    request.groups = {group};
    ASSIGN_OR_RETURN(const auto answer, coordinator.call(request, limit));
    for (const auto& deleted : answer.response.groups) {
      if (deleted.error_code == ErrorCode::kGroupIdNotFound) return tl::unexpected<Error>(no_such_group(group));
      if (deleted.error_code == ErrorCode::kNonEmptyGroup) return tl::unexpected<Error>(has_members(group));
      if (deleted.error_code != ErrorCode::kNone) return fail_code("deleting group " + group, deleted.error_code);
    }
    return {};
  });
}

// ---- Offsets ---------------------------------------------------------------------------------------

Result<std::vector<CommittedPosition>> committed_offsets(ClusterClient& client, const std::string& group,
                                                         MonoTime deadline) {
  using Positions = std::vector<CommittedPosition>;
  return with_coordinator(client, group, deadline, [&](BrokerConnection& coordinator, MonoTime limit) -> Result<Positions> {
    OffsetFetchRequest request;
    request.group_id = group;
    request.topics.reset();
    ASSIGN_OR_RETURN(const auto answer, coordinator.call(request, limit, kFetchOfOneGroup));
    if (answer.response.error_code != ErrorCode::kNone)
      return fail_code("offsets of group " + group, answer.response.error_code);
    Positions positions;
    for (const auto& topic : answer.response.topics) {
      for (const auto& partition : topic.partitions) {
        const TopicPartition which{topic.name, partition.index};
        if (partition.error_code != ErrorCode::kNone)
          return fail_code(fmt::format("offset of group {} for {}", group, which), partition.error_code);
        if (partition.committed_offset.value() < 0) continue;  // nothing is committed
        positions.push_back({which, partition.committed_offset, partition.metadata.value_or("")});
      }
    }
    std::ranges::sort(positions, {}, &CommittedPosition::partition);
    return positions;
  });
}

Result<> commit_offsets(ClusterClient& client, const std::string& group,
                        const std::vector<std::pair<TopicPartition, Offset>>& offsets, MonoTime deadline) {
  OffsetCommitRequest request;
  request.group_id = group;
  request.topics = by_topic<OffsetCommitRequest::Topic>(
      offsets, [](const auto& entry) { return entry.first.topic; },
      [](const auto& entry) {
        OffsetCommitRequest::Partition partition;
        partition.index = entry.first.partition;
        partition.committed_offset = entry.second;
        return partition;
      });
  return with_coordinator(client, group, deadline, [&](BrokerConnection& coordinator, MonoTime limit) -> Result<> {
    ASSIGN_OR_RETURN(const auto answer, coordinator.call(request, limit));
    return partitions_ok("commit", group, answer.response);
  });
}

Result<> delete_offsets(ClusterClient& client, const std::string& group,
                        const std::vector<TopicPartition>& partitions, MonoTime deadline) {
  OffsetDeleteRequest request;
  request.group_id = group;
  request.topics = by_topic<OffsetDeleteRequest::Topic>(
      partitions, [](const auto& partition) { return partition.topic; },
      [](const auto& partition) { return partition.partition; });
  return with_coordinator(client, group, deadline, [&](BrokerConnection& coordinator, MonoTime limit) -> Result<> {
    ASSIGN_OR_RETURN(const auto answer, coordinator.call(request, limit));
    const auto error = answer.response.error_code;
    if (error == ErrorCode::kGroupIdNotFound) return tl::unexpected<Error>(no_such_group(group));
    if (error == ErrorCode::kNonEmptyGroup) return tl::unexpected<Error>(has_members(group));
    if (error != ErrorCode::kNone) return fail_code("deleting offsets of group " + group, error);
    return partitions_ok("deletion", group, answer.response);
  });
}

}  // namespace tributary
