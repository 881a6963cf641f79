// The controller's changes of topics that are there.

#include "cluster/server/await.h"
#include "cluster/server/controller.h"
#include "cluster/server/error_mapping.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

TopicOutcome unknown(const std::string& name) {
  return refused(name, ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", name));
}

/// The store may have done what it reports with these.
bool is_uncertain(const Error& error) { return error.code == Errc::kIo || error.code == Errc::kUnavailable; }

}  // namespace

void Controller::replace_topic(TopicImage image) {
  auto topics = image_->topics();
  auto name = image.topic.name;
  topics.insert_or_assign(std::move(name), std::make_shared<const TopicImage>(std::move(image)));
  publish(std::make_shared<const ClusterImage>(std::move(topics)));
}

// ---- Configs ---------------------------------------------------------------------------------------

void Controller::alter_configs(std::vector<TopicConfigChanges> topics, bool validate_only, Shard& home,
                               Done<std::vector<TopicOutcome>> done) {
  loop_.post([this, topics = std::move(topics), validate_only, &home, done = std::move(done)] {
    std::vector<TopicOutcome> outcomes;
    for (const auto& topic : topics) outcomes.push_back(alter_one(topic, validate_only));
    home.post([done, outcomes = std::move(outcomes)]() mutable { done(std::move(outcomes)); });
  });
}

TopicOutcome Controller::alter_one(const TopicConfigChanges& wanted, bool validate_only) {
  const auto* found = image_->find(wanted.name);
  if (!found) return unknown(wanted.name);
  auto image = *found;
  auto configs = change_configs(defaults_, image.topic.configs, wanted.changes);
  if (!configs) return refused(wanted.name, ErrorCode::kInvalidConfig, configs.error().message);
  auto settings = resolve_topic_settings(defaults_, *configs);
  if (!settings) return refused(wanted.name, ErrorCode::kInvalidConfig, settings.error().message);
  image.topic.configs = *std::move(configs);
  image.settings = *std::move(settings);
  TopicOutcome outcome{.topic = image.topic};
  if (validate_only) return outcome;

  if (const auto stored = store_configs(image.topic); !stored) {
    log_error("controller", "cannot alter a topic's configs",
              {{"topic", wanted.name}, {"error", stored.error().message}});
    return refused(wanted.name, topic_error(stored.error()), stored.error().message);
  }
  for (const auto& shard : shards_)
    shard->run_and_wait([&] {
      for (const auto& partition : image.partitions)
        if (&partition->shard() == shard.get()) partition->change_settings(image.settings);
    });
  replace_topic(std::move(image));
  log_info("controller", "a topic's configs were altered", {{"topic", wanted.name}});
  return outcome;
}

Result<> Controller::store_configs(const Topic& topic) {
  auto stored = await<Topic>(
      [&](auto done) { registry_.set_configs(topic.name, topic.id, topic.configs, std::move(done)); });
  if (stored) return {};
  if (is_uncertain(stored.error())) {
    const auto now = await<Topic>([&](auto done) { registry_.topic(topic.name, topic.id, std::move(done)); });
    if (now && now->configs == topic.configs) return {};
  }
  return tl::unexpected<Error>(std::move(stored).error());
}

}  // namespace tributary
