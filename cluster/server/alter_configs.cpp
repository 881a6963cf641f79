// IncrementalAlterConfigs: checked here, carried out by the controller.

#include <algorithm>
#include <map>
#include <set>

#include "cluster/server/controller.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "common/base/topic_name.h"
#include "common/protocol/messages/incremental_alter_configs.h"

namespace tributary {
namespace {

class AlterConfigsOperation final : public std::enable_shared_from_this<AlterConfigsOperation> {
  using Request = IncrementalAlterConfigsRequest;
  using Response = IncrementalAlterConfigsResponse;

 public:
  AlterConfigsOperation(CallPtr call, Request request) : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    std::map<std::pair<ConfigResourceType, std::string_view>, int> named;
    for (const auto& wanted : request_.resources) ++named[{wanted.type, wanted.name}];
    std::vector<TopicConfigChanges> topics;
    for (const auto& wanted : request_.resources) {
      auto& answer = response_.resources.emplace_back();
      answer.type = wanted.type;
      answer.name = wanted.name;
      TopicConfigChanges topic{wanted.name, {}};
      if (named[{wanted.type, wanted.name}] > 1) refuse(answer, ErrorCode::kInvalidRequest, "the resource is named twice");
      else if (check_resource(wanted, answer) && read_changes(wanted, answer, topic)) topics.push_back(std::move(topic));
    }
    if (topics.empty()) return finish();
    call_->server().controller->alter_configs(
        std::move(topics), request_.validate_only, call_->home(),
        [self = shared_from_this()](const std::vector<TopicOutcome>& outcomes) { self->altered(outcomes); });
  }

 private:
  static bool refuse(Response::Resource& answer, ErrorCode error, std::string_view message) {
    answer.error_code = error;
    answer.error_message.emplace(message);
    return false;
  }

  static bool check_resource(const Request::Resource& wanted, Response::Resource& answer) {
    if (wanted.type == ConfigResourceType::kBroker)
      return refuse(answer, ErrorCode::kInvalidRequest,
                    "a broker's configs cannot be altered while it runs: change its settings and restart it");
    if (wanted.type != ConfigResourceType::kTopic)
      return refuse(answer, ErrorCode::kInvalidRequest, "only the configs of topics can be altered");
    if (const auto valid = validate_topic_name(wanted.name); !valid)
      return refuse(answer, ErrorCode::kInvalidTopicException, valid.error().message);
    if (is_internal_topic(wanted.name))
      return refuse(answer, ErrorCode::kInvalidTopicException, "the broker sets this topic's configs itself");
    return true;
  }

  static bool read_changes(const Request::Resource& wanted, Response::Resource& answer, TopicConfigChanges& topic) {
    std::set<std::string_view> seen;
    for (const auto& config : wanted.configs) {
      if (!seen.insert(config.name).second)
        return refuse(answer, ErrorCode::kInvalidRequest, fmt::format("config '{}' is given twice", config.name));
      const auto number = static_cast<int>(config.operation);
      if (number < 0 || number > static_cast<int>(Request::Operation::kSubtract))
        return refuse(answer, ErrorCode::kInvalidRequest,
                      fmt::format("config '{}': there is no operation {}", config.name, number));
      if (!config.value && config.operation != Request::Operation::kDelete)
        return refuse(answer, ErrorCode::kInvalidRequest, fmt::format("config '{}' has no value", config.name));
      topic.changes.push_back({config.name, kind_of(config.operation), config.value.value_or("")});
    }
    return true;
  }

  static ConfigChange::Kind kind_of(Request::Operation operation) {
    switch (operation) {
      case Request::Operation::kDelete: return ConfigChange::Kind::kUnset;
      case Request::Operation::kAppend: return ConfigChange::Kind::kAppend;
      case Request::Operation::kSubtract: return ConfigChange::Kind::kSubtract;
      default: return ConfigChange::Kind::kSet;
    }
  }

  void altered(const std::vector<TopicOutcome>& outcomes) {
    auto outcome = outcomes.begin();
    for (auto& answer : response_.resources) {
      if (answer.error_code != ErrorCode::kNone) continue;
      if (outcome->error != ErrorCode::kNone) refuse(answer, outcome->error, outcome->message);
      ++outcome;
    }
    finish();
  }

  void finish() {
    const auto failed = std::ranges::find_if(
        response_.resources, [](const auto& resource) { return resource.error_code != ErrorCode::kNone; });
    call_->reply(response_, failed == response_.resources.end() ? ErrorCode::kNone : failed->error_code);
  }

  const CallPtr call_;
  const Request request_;
  Response response_;
};

}  // namespace

void handle_incremental_alter_configs(CallPtr call) {
  auto request = call->decode<IncrementalAlterConfigsRequest>();
  if (!request) return;
  std::make_shared<AlterConfigsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
