// CreatePartitions: checked here, carried out by the controller.

#include <algorithm>
#include <map>

#include "cluster/server/controller.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "common/base/topic_name.h"
#include "common/protocol/messages/create_partitions.h"

namespace tributary {
namespace {

class CreatePartitionsOperation final : public std::enable_shared_from_this<CreatePartitionsOperation> {
 public:
  CreatePartitionsOperation(CallPtr call, CreatePartitionsRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    std::map<std::string_view, int> named;
    for (const auto& wanted : request_.topics) ++named[wanted.name];
    std::vector<TopicGrowth> topics;
    for (const auto& wanted : request_.topics) {
      auto& answer = response_.topics.emplace_back();
      answer.name = wanted.name;
      if (named[wanted.name] > 1) {
        refuse(answer, ErrorCode::kInvalidRequest, "the topic is named twice");
      } else if (check(wanted, answer)) {
        topics.push_back({wanted.name, wanted.count, {}});
        if (wanted.assignments) topics.back().assigned = wanted.assignments->size();
      }
    }
    if (topics.empty()) return finish();
    call_->server().controller->grow_topics(
        std::move(topics), request_.validate_only, call_->home(),
        [self = shared_from_this()](const std::vector<TopicOutcome>& outcomes) { self->grown(outcomes); });
  }

 private:
  static bool refuse(CreatePartitionsResponse::Topic& answer, ErrorCode error, std::string_view message) {
    answer.error_code = error;
    answer.error_message.emplace(message);
    return false;
  }

  bool check(const CreatePartitionsRequest::Topic& wanted, CreatePartitionsResponse::Topic& answer) const {
    if (const auto valid = validate_topic_name(wanted.name); !valid)
      return refuse(answer, ErrorCode::kInvalidTopicException, valid.error().message);
    if (is_internal_topic(wanted.name))
      return refuse(answer, ErrorCode::kInvalidTopicException, "groups would lose what they have stored in this topic");
    if (!wanted.assignments) return true;
    const auto node = call_->server().options.node_id;
    const std::vector alone{node};
    const bool here = std::ranges::all_of(*wanted.assignments, [&](const auto& a) { return a.broker_ids == alone; });
    return here || refuse(answer, ErrorCode::kInvalidReplicaAssignment,
                          fmt::format("each partition must be assigned to broker {} alone", node));
  }

  void grown(const std::vector<TopicOutcome>& outcomes) {
    auto outcome = outcomes.begin();
    for (auto& answer : response_.topics) {
      if (answer.error_code != ErrorCode::kNone) continue;
      if (outcome->error != ErrorCode::kNone) refuse(answer, outcome->error, outcome->message);
      ++outcome;
    }
    finish();
  }

  void finish() {
    const auto failed =
        std::ranges::find_if(response_.topics, [](const auto& topic) { return topic.error_code != ErrorCode::kNone; });
    call_->reply(response_, failed == response_.topics.end() ? ErrorCode::kNone : failed->error_code);
  }

  const CallPtr call_;
  const CreatePartitionsRequest request_;
  CreatePartitionsResponse response_;
};

}  // namespace

void handle_create_partitions(CallPtr call) {
  auto request = call->decode<CreatePartitionsRequest>();
  if (!request) return;
  std::make_shared<CreatePartitionsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
