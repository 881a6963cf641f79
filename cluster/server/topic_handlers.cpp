// CreateTopics and DeleteTopics: checked here, carried out by the controller.

#include <algorithm>
#include <set>

#include "cluster/server/controller.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/delete_topics.h"

namespace tributary {
namespace {

using ConfigSource = DescribeConfigsResponse::Source;

struct Refusal {
  ErrorCode error = ErrorCode::kNone;
  std::string message;
};

Refusal check_assignments(const CreateTopicsRequest::Topic& wanted, BrokerId node) {
  if (wanted.num_partitions != -1 || wanted.replication_factor != -1)
    return {ErrorCode::kInvalidRequest,
            "with replica assignments, the number of partitions and the replication factor must be -1"};
  std::set<std::int32_t> indexes;
  for (const auto& assignment : wanted.assignments) {
    if (assignment.broker_ids != std::vector{node})
      return {ErrorCode::kInvalidReplicaAssignment,
              fmt::format("partition {} must be assigned to broker {} alone", assignment.partition_index, node)};
    indexes.insert(assignment.partition_index.value());
  }
  const auto count = static_cast<std::int32_t>(wanted.assignments.size());
  if (static_cast<std::int32_t>(indexes.size()) != count || *indexes.begin() != 0 || *indexes.rbegin() != count - 1)
    return {ErrorCode::kInvalidReplicaAssignment, "partitions must be numbered from 0, without gaps or repetitions"};
  return {};
}

/// Fills `topic`, or says why not.
Refusal read_topic(const CreateTopicsRequest::Topic& wanted, BrokerId node, NewTopic& topic) {
  topic.name = wanted.name;
  if (is_internal_topic(wanted.name)) return {ErrorCode::kInvalidTopicException, "the broker creates this topic itself"};
  topic.partitions = wanted.num_partitions;
  if (!wanted.assignments.empty()) {
    if (auto refusal = check_assignments(wanted, node); refusal.error != ErrorCode::kNone) return refusal;
    topic.partitions = static_cast<std::int32_t>(wanted.assignments.size());
  } else if (wanted.replication_factor != -1 && wanted.replication_factor != 1) {
    return {ErrorCode::kInvalidReplicationFactor,
            fmt::format("replication factor {}: this cluster has 1 broker", wanted.replication_factor)};
  }
  for (const auto& config : wanted.configs) {
    if (!config.value)
      return {ErrorCode::kInvalidConfig, fmt::format("config '{}' has no value", config.name)};
    if (!topic.configs.emplace(config.name, *config.value).second)
      return {ErrorCode::kInvalidConfig, fmt::format("config '{}' is given twice", config.name)};
  }
  return {};
}

void add_details(CreateTopicsResponse::Topic& answer, const Topic& topic, const TopicSettings& defaults) {
  answer.topic_id = topic.id;
  answer.num_partitions = topic.partitions;
  answer.replication_factor = 1;
  const auto settings = resolve_topic_settings(defaults, topic.configs);
  if (!settings) return;
  for (const auto& config : describe_topic_configs(*settings, topic.configs))
    answer.configs->push_back({std::string(config.name), config.value, false,
                               static_cast<std::int8_t>(config.own ? ConfigSource::kTopic : ConfigSource::kDefault),
                               false});
}

class CreateTopicsOperation final : public std::enable_shared_from_this<CreateTopicsOperation> {
 public:
  CreateTopicsOperation(CallPtr call, CreateTopicsRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    const auto node = call_->server().options.node_id;
    std::map<std::string_view, int> named;
    for (const auto& wanted : request_.topics) ++named[wanted.name];
    std::vector<NewTopic> topics;
    for (const auto& wanted : request_.topics) {
      auto& answer = response_.topics.emplace_back();
      answer.name = wanted.name;
      NewTopic topic;
      Refusal refusal;
      if (named[wanted.name] > 1) {
        refusal.error = ErrorCode::kInvalidRequest;
        refusal.message = "the topic is named twice";
      } else {
        refusal = read_topic(wanted, node, topic);
      }
      answer.error_code = refusal.error;
      if (refusal.error != ErrorCode::kNone) answer.error_message = std::move(refusal.message);
      else topics.push_back(std::move(topic));
    }
    if (topics.empty()) return finish();
    call_->server().controller->create_topics(
        std::move(topics), request_.validate_only, call_->home(),
        [self = shared_from_this()](const std::vector<TopicOutcome>& outcomes) { self->created(outcomes); });
  }

 private:
  void created(const std::vector<TopicOutcome>& outcomes) {
    auto outcome = outcomes.begin();
    for (auto& answer : response_.topics) {
      if (answer.error_code != ErrorCode::kNone) continue;
      answer.error_code = outcome->error;
      if (outcome->error != ErrorCode::kNone) answer.error_message = outcome->message;
      else add_details(answer, outcome->topic, call_->server().topic_defaults);
      ++outcome;
    }
    finish();
  }

  void finish() {
    auto first_error = ErrorCode::kNone;
    for (const auto& topic : response_.topics)
      if (first_error == ErrorCode::kNone) first_error = topic.error_code;
    call_->reply(response_, first_error);
  }

  const CallPtr call_;
  const CreateTopicsRequest request_;
  CreateTopicsResponse response_;
};

class DeleteTopicsOperation final : public std::enable_shared_from_this<DeleteTopicsOperation> {
 public:
  DeleteTopicsOperation(CallPtr call, DeleteTopicsRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    constexpr std::int16_t kFirstVersionWithIds = 6;
    const bool with_ids = call_->version() >= kFirstVersionWithIds;
    if (with_ids) {
      for (const auto& topic : request_.topics) add(topic.name, topic.topic_id);
    } else {
      for (const auto& name : request_.topic_names) add(name, Uuid{});
    }
    std::vector<TopicToDelete> topics;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < response_.topics.size(); ++i) {
      auto& answer = response_.topics[i];
      if (answer.error_code != ErrorCode::kNone) continue;
      if (is_internal_topic(*answer.name)) {
        refuse(answer, ErrorCode::kInvalidTopicException, "the broker needs this topic");
        continue;
      }
      const bool by_id = with_ids && !request_.topics[i].name;
      if (seen.insert(*answer.name).second) topics.push_back({*answer.name, by_id ? answer.topic_id : Uuid{}});
      else refuse(answer, ErrorCode::kInvalidRequest, "the topic is named twice");
    }
    if (topics.empty()) return finish();
    call_->server().controller->delete_topics(
        std::move(topics), call_->home(),
        [self = shared_from_this()](const std::vector<TopicOutcome>& outcomes) { self->deleted(outcomes); });
  }

 private:
  static void refuse(DeleteTopicsResponse::Topic& answer, ErrorCode error, std::string_view message) {
    answer.error_code = error;
    answer.error_message.emplace(message);
  }

  void add(const std::optional<std::string>& name, const Uuid& id) {
    auto& answer = response_.topics.emplace_back();
    answer.name = name;
    answer.topic_id = id;
    const auto& image = *call_->home().image();
    if (name) {
      if (!id.is_zero()) return refuse(answer, ErrorCode::kInvalidRequest, "a topic is named by its name or its id");
      if (const auto* found = image.find(*name)) answer.topic_id = found->topic.id;
      return;
    }
    const auto* found = image.find(id);
    if (!found) return refuse(answer, ErrorCode::kUnknownTopicId, fmt::format("there is no topic with the id {}", to_string(id)));
    answer.name = found->topic.name;
  }

  void deleted(const std::vector<TopicOutcome>& outcomes) {
    auto outcome = outcomes.begin();
    for (auto& answer : response_.topics) {
      if (answer.error_code != ErrorCode::kNone) continue;
      if (outcome->error != ErrorCode::kNone) refuse(answer, outcome->error, outcome->message);
      ++outcome;
    }
    finish();
  }

  void finish() {
    auto first_error = ErrorCode::kNone;
    for (const auto& topic : response_.topics)
      if (first_error == ErrorCode::kNone) first_error = topic.error_code;
    call_->reply(response_, first_error);
  }

  const CallPtr call_;
  const DeleteTopicsRequest request_;
  DeleteTopicsResponse response_;
};

}  // namespace

void handle_create_topics(CallPtr call) {
  auto request = call->decode<CreateTopicsRequest>();
  if (!request) return;
  std::make_shared<CreateTopicsOperation>(std::move(call), *std::move(request))->run();
}

void handle_delete_topics(CallPtr call) {
  auto request = call->decode<DeleteTopicsRequest>();
  if (!request) return;
  std::make_shared<DeleteTopicsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
