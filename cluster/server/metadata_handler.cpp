// Metadata: answered from the shard's image; topics that are missing may be created first.

#include <set>

#include "cluster/server/controller.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "common/base/topic_name.h"
#include "common/protocol/messages/metadata.h"

namespace tributary {
namespace {

/// Bits of AclOperation that a broker without authorisation grants: all that apply to the resource.
constexpr std::int32_t kTopicOperations = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
constexpr std::int32_t kClusterOperations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// Before it only answers have ids.
constexpr std::int16_t kFirstVersionThatAsksById = 12;

class MetadataOperation final : public std::enable_shared_from_this<MetadataOperation> {
 public:
  MetadataOperation(CallPtr call, MetadataRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    if (request_.asks_for_all_topics(call_->version())) {
      for (const auto& [name, image] : call_->home().image()->topics()) add(*image);
      return finish();
    }
    auto missing = missing_topics();
    const bool create = request_.allow_auto_topic_creation && call_->server().options.auto_create_topics;
    if (missing.empty() || !create) return answer_named();
    call_->server().controller->create_topics(
        std::move(missing), false, call_->home(),
        [self = shared_from_this()](std::vector<TopicOutcome> outcomes) {
          for (auto& outcome : outcomes)
            if (outcome.error != ErrorCode::kNone && outcome.error != ErrorCode::kTopicAlreadyExists)
              self->failures_.emplace(outcome.topic.name, outcome.error);
          self->answer_named();
        });
  }

 private:
  [[nodiscard]] std::vector<NewTopic> missing_topics() const {
    std::vector<NewTopic> missing;
    std::set<std::string_view> seen;
    for (const auto& topic : *request_.topics) {
      if (!topic.topic_id.is_zero()) continue;
      const auto name = std::string_view(topic.name ? *topic.name : std::string_view());
      if (!call_->home().image()->find(name) && seen.insert(name).second && validate_topic_name(name))
        missing.push_back(is_internal_topic(name) ? offsets_topic(call_->server().options)
                                                  : NewTopic{.name = std::string(name)});
    }
    return missing;
  }

  void answer_named() {
    const auto& image = *call_->home().image();
    std::set<std::string> answered;  // once each, as Kafka: the answer must not outgrow the cluster
    for (const auto& topic : *request_.topics) {
      if (!topic.topic_id.is_zero() || !topic.name) {
        answer_by_id(topic, answered);
        continue;
      }
      const auto& name = *topic.name;
      if (!answered.insert(name).second) continue;
      if (const auto* found = image.find(name)) {
        add(*found);
        continue;
      }
      auto& unknown = response_.topics.emplace_back();
      unknown.name = name;
      const auto failure = failures_.find(name);
      unknown.error_code = failure != failures_.end()   ? failure->second
                           : !validate_topic_name(name) ? ErrorCode::kInvalidTopicException
                                                        : ErrorCode::kUnknownTopicOrPartition;
      if (first_error_ == ErrorCode::kNone) first_error_ = unknown.error_code;
    }
    finish();
  }

  /// The name beside an id, if there is one, counts for nothing, as in Kafka.
  void answer_by_id(const MetadataRequest::Topic& wanted, std::set<std::string>& answered) {
    const bool served = call_->version() >= kFirstVersionThatAsksById && !wanted.topic_id.is_zero();
    const auto* found = served ? call_->home().image()->find(wanted.topic_id) : nullptr;
    if (!answered.insert(found ? found->topic.name : fmt::format("/{}", to_string(wanted.topic_id))).second) return;
    if (found) return add(*found);
    auto& unknown = response_.topics.emplace_back();
    if (call_->version() >= kFirstVersionThatAsksById) unknown.name.reset();
    unknown.topic_id = wanted.topic_id;
    unknown.error_code = served ? ErrorCode::kUnknownTopicId : ErrorCode::kInvalidRequest;
    if (first_error_ == ErrorCode::kNone) first_error_ = unknown.error_code;
  }

  void add(const TopicImage& image) {
    const auto node = call_->server().options.node_id;
    auto& topic = response_.topics.emplace_back();
    topic.name = image.topic.name;
    topic.topic_id = image.topic.id;
    topic.is_internal = is_internal_topic(image.topic.name);
    if (request_.include_topic_authorized_operations) topic.authorized_operations = kTopicOperations;
    topic.partitions.reserve(image.partitions.size());
    for (std::int32_t i = 0; i < image.topic.partitions; ++i) {
      auto& partition = topic.partitions.emplace_back();
      partition.index = PartitionIndex(i);
      partition.leader_id = node;
      partition.leader_epoch = kOnlyLeaderEpoch;
      partition.replica_nodes = {node};
      partition.isr_nodes = {node};
    }
  }

  void finish() {
    const auto& server = call_->server();
    const auto endpoint = server.endpoint(call_->listener());
    response_.brokers.push_back({server.options.node_id, endpoint.host, endpoint.port, std::nullopt});
    response_.cluster_id = server.cluster_id;
    response_.controller_id = server.options.node_id;
    if (request_.include_cluster_authorized_operations)
      response_.cluster_authorized_operations = kClusterOperations;
    call_->reply(response_, first_error_);
  }

  const CallPtr call_;
  const MetadataRequest request_;
  std::map<std::string, ErrorCode> failures_;
  MetadataResponse response_;
  ErrorCode first_error_ = ErrorCode::kNone;
};

}  // namespace

void handle_metadata(CallPtr call) {
  auto request = call->decode<MetadataRequest>();
  if (!request) return;
  std::make_shared<MetadataOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
