// OffsetCommit, OffsetFetch and OffsetDelete.

#include <set>

#include "cluster/server/cluster_image.h"
#include "cluster/server/group_call.h"
#include "cluster/server/handlers.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_delete.h"
#include "common/protocol/messages/offset_fetch.h"

namespace tributary {
namespace {

bool there_is(const ClusterImage& image, const std::string& topic, PartitionIndex index) {
  const auto* found = image.find(topic);
  return found && found->partition(index);
}

/// Writes the errors of a result, which has some of the response's partitions in the response's order.
template <class Response>
void fill_errors(Response& response, const std::vector<PartitionError>& errors) {
  auto error = errors.begin();
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.error_code != ErrorCode::kNone || error == errors.end()) continue;
      partition.error_code = (error++)->error;
    }
  }
}

template <class Response>
ErrorCode first_error(const Response& response) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code != ErrorCode::kNone) return partition.error_code;
    }
  }
  return ErrorCode::kNone;
}

/// Those whose topic there is; the others get their error in the response, which has all of them in this order.
std::vector<GroupCommit::Partition> refuse_unknown(const ClusterImage& image,
                                                   std::vector<GroupCommit::Partition> wanted,
                                                   OffsetCommitResponse& response) {
  std::vector<GroupCommit::Partition> possible;
  auto next = wanted.begin();
  for (auto& topic : response.topics) {
    for (auto& slot : topic.partitions) {
      auto& partition = *next++;
      if (there_is(image, topic.name, slot.index)) possible.push_back(std::move(partition));
      else slot.error_code = ErrorCode::kUnknownTopicOrPartition;
    }
  }
  return possible;
}

}  // namespace

void handle_offset_commit(CallPtr call) {
  const auto request = call->decode<OffsetCommitRequest>();
  if (!request) return;
  // Both are one shard's after the other's.
  auto commit = std::make_shared<GroupCommit>();
  auto response = std::make_shared<OffsetCommitResponse>();
  commit->group_id = request->group_id;
  commit->member_id = request->member_id;
  commit->generation_id = request->generation_id.value();
  commit->group_instance_id = request->group_instance_id;
  if (request->retention_time_ms >= 0) commit->retention_ms = request->retention_time_ms;
  for (const auto& topic : request->topics) {
    auto& answered = response->topics.emplace_back();
    answered.name = topic.name;
    for (const auto& partition : topic.partitions) {
      answered.partitions.emplace_back().index = partition.index;
      commit->partitions.push_back({{topic.name, partition.index}, partition.committed_offset,
                                    partition.committed_leader_epoch, partition.metadata.value_or("")});
    }
  }
  if (commit->partitions.empty()) return call->reply(*response, ErrorCode::kNone);
  ask_group<GroupCommitResult>(
      call, request->group_id,
      [commit, response, &shard = groups_of(*call, request->group_id).shard()](GroupCoordinator& groups, Moment now,
                                                                               ReplyToken token) {
        // Which topics there are is asked where their deletion takes the offsets away: elsewhere it may not be known
        // yet, and the commit would come behind it.
        commit->partitions = refuse_unknown(*shard.image(), std::move(commit->partitions), *response);
        groups.commit(now, token, *commit);
      },
      [call, response](const GroupCommitResult& result) {
        fill_errors(*response, result.partitions);
        call->reply(*response, first_error(*response));
      });
}

namespace {

using FetchTopics = std::optional<std::vector<OffsetFetchRequest::Topic>>;

GroupFetch group_fetch(const std::string& group_id, const FetchTopics& topics, bool require_stable) {
  GroupFetch fetch{.group_id = group_id, .require_stable = require_stable, .partitions = std::nullopt};
  if (!topics) return fetch;
  fetch.partitions.emplace();
  for (const auto& topic : *topics) {
    for (const auto index : topic.partitions) fetch.partitions->push_back({topic.name, index});
  }
  return fetch;
}

/// Partitions of one topic that follow one another come together. `error` goes to each of them, for versions that
/// have no place for one of the whole.
std::vector<OffsetFetchResponse::Topic> fetched_topics(const GroupFetchResult& result) {
  std::vector<OffsetFetchResponse::Topic> topics;
  for (const auto& found : result.partitions) {
    if (topics.empty() || topics.back().name != found.partition.topic) {
      topics.emplace_back().name = found.partition.topic;
    }
    topics.back().partitions.push_back(
        {found.partition.partition, found.offset, found.leader_epoch, found.metadata, found.error});
  }
  return topics;
}

/// The group's error for each partition that was asked for: version 1 has no other place for it.
std::vector<OffsetFetchResponse::Topic> refused_topics(const FetchTopics& asked, ErrorCode error) {
  std::vector<OffsetFetchResponse::Topic> topics;
  if (!asked) return topics;
  for (const auto& topic : *asked) {
    auto& refused = topics.emplace_back();
    refused.name = topic.name;
    for (const auto index : topic.partitions) {
      auto& partition = refused.partitions.emplace_back();
      partition.index = index;
      partition.error_code = error;
    }
  }
  return topics;
}

struct OffsetFetchOperation {
  OffsetFetchResponse response;
  std::size_t outstanding = 0;
  ErrorCode first_error = ErrorCode::kNone;
};

void fetch_one(const CallPtr& call, const std::string& group_id, const FetchTopics& topics, bool require_stable,
               std::function<void(GroupFetchResult)> done) {
  read_groups<GroupFetchResult>(
      call, groups_of(*call, group_id),
      [fetch = group_fetch(group_id, topics, require_stable)](const GroupCoordinator& groups) {
        return groups.fetch(fetch);
      },
      std::move(done));
}

}  // namespace

void handle_offset_fetch(CallPtr call) {
  const auto request = call->decode<OffsetFetchRequest>();
  if (!request) return;
  constexpr std::int16_t kFirstVersionWithGroups = 8, kFirstVersionWithError = 2;
  if (call->version() < kFirstVersionWithGroups) {
    return fetch_one(call, request->group_id, request->topics, request->require_stable,
                     [call, topics = request->topics](const GroupFetchResult& result) {
                       OffsetFetchResponse response;
                       response.error_code = result.error;
                       response.topics = result.error != ErrorCode::kNone && call->version() < kFirstVersionWithError
                                             ? refused_topics(topics, result.error)
                                             : fetched_topics(result);
                       call->reply(response, result.error);
                     });
  }
  // Each group once: the answer must not outgrow what there is.
  std::vector<OffsetFetchRequest::Group> groups;
  std::set<std::string_view> seen;
  for (const auto& group : request->groups) {
    if (seen.insert(group.group_id).second) groups.push_back(group);
  }
  auto operation = std::make_shared<OffsetFetchOperation>();
  operation->outstanding = groups.size();
  operation->response.groups.resize(groups.size());
  if (groups.empty()) return call->reply(operation->response, ErrorCode::kNone);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto& group = groups[i];
    operation->response.groups[i].group_id = group.group_id;
    fetch_one(call, group.group_id, group.topics, request->require_stable,
              [call, operation, i](const GroupFetchResult& result) {
                auto& answered = operation->response.groups[i];
                answered.error_code = result.error;
                answered.topics = fetched_topics(result);
                if (operation->first_error == ErrorCode::kNone) operation->first_error = result.error;
                if (--operation->outstanding == 0) call->reply(operation->response, operation->first_error);
              });
  }
}

void handle_offset_delete(CallPtr call) {
  const auto request = call->decode<OffsetDeleteRequest>();
  if (!request) return;
  GroupOffsetDelete wanted{.group_id = request->group_id, .partitions = {}};
  auto response = std::make_shared<OffsetDeleteResponse>();
  for (const auto& topic : request->topics) {
    auto& answered = response->topics.emplace_back();
    answered.name = topic.name;
    for (const auto index : topic.partitions) {
      auto& slot = answered.partitions.emplace_back();
      slot.index = index;
      if (there_is(*call->home().image(), topic.name, index)) {
        wanted.partitions.push_back({topic.name, index});
      } else {
        slot.error_code = ErrorCode::kUnknownTopicOrPartition;
      }
    }
  }
  ask_group<GroupOffsetDeleteResult>(
      call, request->group_id,
      [wanted](GroupCoordinator& groups, Moment, ReplyToken token) { groups.delete_offsets(token, wanted); },
      [call, response](const GroupOffsetDeleteResult& result) {
        response->error_code = result.error;
        if (result.error != ErrorCode::kNone) {
          response->topics.clear();
        } else {
          fill_errors(*response, result.partitions);
        }
        call->reply(*response, result.error != ErrorCode::kNone ? result.error : first_error(*response));
      });
}

}  // namespace tributary
