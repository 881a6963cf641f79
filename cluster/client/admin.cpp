#include "cluster/client/admin.h"

#include <algorithm>

#include "cluster/client/consumer.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/incremental_alter_configs.h"

namespace tributary {
namespace {

constexpr Versions kDeleteByName{DeleteTopicsRequest::valid.min, 5};

std::int32_t timeout_ms(MonoTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - system_clock().mono_now());
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(left.count(), 1, 60'000));
}

Result<std::vector<TopicConfig>> topic_configs(ClusterClient& client, const std::string& name, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  DescribeConfigsRequest request;
  request.resources.push_back({ConfigResourceType::kTopic, name, std::nullopt});
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline));
  std::vector<TopicConfig> configs;
  for (const auto& resource : answer.response.resources) {
    if (resource.error_code != ErrorCode::kNone)
      return fail_code("configuration of topic " + name, resource.error_code, resource.error_message);
    for (const auto& config : resource.configs)
      configs.push_back({config.name, config.value.value_or(""),
                         config.source != DescribeConfigsResponse::Source::kTopic});
  }
  std::ranges::sort(configs, {}, &TopicConfig::name);
  return configs;
}

}  // namespace

Result<> create_topic(ClusterClient& client, const NewTopic& topic, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  CreateTopicsRequest request;
  request.timeout_ms = timeout_ms(deadline);
  auto& asked = request.topics.emplace_back();
  asked.name = topic.name;
  asked.num_partitions = topic.partitions;
  asked.replication_factor = topic.replication_factor;
  for (const auto& [key, value] : topic.configs) asked.configs.push_back({key, value});
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline));
  client.forget(topic.name);
  for (const auto& created : answer.response.topics)
    if (created.error_code == ErrorCode::kTopicAlreadyExists)
      return fail(Errc::kAlreadyExists, fmt::format("topic {} exists already", topic.name));
    else if (created.error_code != ErrorCode::kNone)
      return fail_code("creating topic " + topic.name, created.error_code, created.error_message);
  return {};
}

Result<> alter_topic_configs(ClusterClient& client, const std::string& name, const TopicAlteration& alteration,
                             MonoTime deadline) {
  using Operation = IncrementalAlterConfigsRequest::Operation;
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  IncrementalAlterConfigsRequest request;
  auto& asked = request.resources.emplace_back();
  asked.type = ConfigResourceType::kTopic;
  asked.name = name;
  for (const auto& [key, value] : alteration.set) asked.configs.push_back({key, Operation::kSet, value});
  for (const auto& key : alteration.unset) asked.configs.push_back({key, Operation::kDelete, std::nullopt});
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline));
  for (const auto& altered : answer.response.resources)
    if (altered.error_code == ErrorCode::kUnknownTopicOrPartition)
      return fail(Errc::kNotFound, fmt::format("topic {} does not exist", name));
    else if (altered.error_code != ErrorCode::kNone)
      return fail_code("altering topic " + name, altered.error_code, altered.error_message);
  return {};
}

Result<> add_partitions(ClusterClient& client, const std::string& name, std::int32_t partitions, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  CreatePartitionsRequest request;
  request.topics.push_back({name, partitions, std::nullopt});
  request.timeout_ms = timeout_ms(deadline);
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline));
  client.forget(name);
  for (const auto& grown : answer.response.topics)
    if (grown.error_code == ErrorCode::kUnknownTopicOrPartition)
      return fail(Errc::kNotFound, fmt::format("topic {} does not exist", name));
    else if (grown.error_code != ErrorCode::kNone)
      return fail_code("adding partitions to topic " + name, grown.error_code, grown.error_message);
  return {};
}

Result<> delete_topic(ClusterClient& client, const std::string& name, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
  DeleteTopicsRequest request;
  request.topic_names.push_back(name);
  request.timeout_ms = timeout_ms(deadline);
  ASSIGN_OR_RETURN(const auto answer, broker->call(request, deadline, kDeleteByName));
  client.forget(name);
  for (const auto& deleted : answer.response.topics)
    if (deleted.error_code == ErrorCode::kUnknownTopicOrPartition)
      return fail(Errc::kNotFound, fmt::format("topic {} does not exist", name));
    else if (deleted.error_code != ErrorCode::kNone)
      return fail_code("deleting topic " + name, deleted.error_code, deleted.error_message);
  return {};
}

Result<TopicDescription> describe_topic(ClusterClient& client, const std::string& name, MonoTime deadline) {
  client.forget(name);
  TopicDescription description;
  ASSIGN_OR_RETURN(description.info, client.topic(name, deadline));
  for (const auto& partition : description.info.partitions) {
    if (partition.leader == kNoBroker) continue;
    const TopicPartition which{name, partition.index};
    ASSIGN_OR_RETURN(const auto ends,
                     resolve_offsets(client, {{which, StartAt::earliest()}, {which, StartAt::latest()}}, deadline));
    description.offsets.push_back({partition.index, ends.front(), ends.back()});
  }
  ASSIGN_OR_RETURN(description.configs, topic_configs(client, name, deadline));
  return description;
}

}  // namespace tributary
