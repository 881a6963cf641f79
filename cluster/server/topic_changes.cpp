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

// ---- Growth ----------------------------------------------------------------------------------------

void Controller::grow_topics(std::vector<TopicGrowth> topics, bool validate_only, Shard& home,
                             Done<std::vector<TopicOutcome>> done) {
  loop_.post([this, topics = std::move(topics), validate_only, &home, done = std::move(done)] {
    std::vector<TopicOutcome> outcomes;
    for (const auto& topic : topics) outcomes.push_back(grow_one(topic, validate_only));
    home.post([done, outcomes = std::move(outcomes)]() mutable { done(std::move(outcomes)); });
  });
}

TopicOutcome Controller::validate_growth(const TopicImage& image, const TopicGrowth& wanted) const {
  const auto& topic = image.topic;
  if (wanted.partitions <= topic.partitions)
    return refused(topic.name, ErrorCode::kInvalidPartitions,
                   fmt::format("topic '{}' has {} partitions: {} are not more", topic.name, topic.partitions,
                               wanted.partitions));
  if (wanted.partitions > options_.partitions_per_topic_max)
    return refused(topic.name, ErrorCode::kInvalidPartitions,
                   fmt::format("{} partitions: 1 to {} are allowed", wanted.partitions,
                               options_.partitions_per_topic_max));
  const auto more = static_cast<std::size_t>(wanted.partitions - topic.partitions);
  if (wanted.assigned && *wanted.assigned != more)
    return refused(topic.name, ErrorCode::kInvalidReplicaAssignment,
                   fmt::format("{} new partitions, but {} assignments", more, *wanted.assigned));
  const auto total = image_->partition_count() + more;
  if (total > static_cast<std::size_t>(options_.partitions_max))
    return refused(topic.name, ErrorCode::kPolicyViolation,
                   fmt::format("this broker would have {} partitions: at most {} are allowed", total,
                               options_.partitions_max));
  for (auto i = topic.partitions; i < wanted.partitions; ++i) {
    const auto folder = fmt::format("{}/{}", options_.data, TopicPartition{topic.name, PartitionIndex(i)});
    // Whoever's it is: taking the growth back would remove it if it were the topic's.
    if (services_.fs.exists(folder))
      return refused(topic.name, ErrorCode::kKafkaStorageError, fmt::format("the folder {} is in the way", folder));
  }
  TopicOutcome outcome{.topic = topic};
  outcome.topic.partitions = wanted.partitions;
  return outcome;
}

TopicOutcome Controller::grow_one(const TopicGrowth& wanted, bool validate_only) {
  const auto& name = wanted.name;
  if (!image_->find(name)) return unknown(name);
  if (const auto settled = settle_growth(name); !settled)
    return refused(name, ErrorCode::kKafkaStorageError,
                   fmt::format("a former growth is not taken back yet: {}", settled.error().message));
  auto image = *image_->find(name);
  auto outcome = validate_growth(image, wanted);
  if (outcome.error != ErrorCode::kNone || validate_only) return outcome;

  const auto id = image.topic.id;
  image.topic.growing_to = wanted.partitions;
  const auto grown = [&]() -> Result<std::vector<std::shared_ptr<Partition>>> {
    RETURN_IF_ERROR(await<Topic>([&](auto done) { registry_.begin_growth(name, id, wanted.partitions, std::move(done)); }));
    ASSIGN_OR_RETURN(auto fresh, create_further_folders(image));
    RETURN_IF_ERROR(await<Topic>([&](auto done) { registry_.finish_growth(name, id, std::move(done)); }));
    return fresh;
  }();
  if (!grown) {
    log_error("controller", "cannot add partitions to a topic", {{"topic", name}, {"error", grown.error().message}});
    replace_topic(std::move(image));
    // Where the store took the last step without saying so, the topic has grown nevertheless.
    const auto settled = settle_growth(name);
    if (settled && image_->find(name)->topic.partitions == wanted.partitions) return outcome;
    return refused(name, ErrorCode::kKafkaStorageError, grown.error().message);
  }
  image.topic = outcome.topic;
  image.partitions.insert(image.partitions.end(), grown->begin(), grown->end());
  replace_topic(std::move(image));
  log_info("controller", "partitions added to a topic", {{"topic", name}, {"partitions", wanted.partitions}});
  return outcome;
}

Result<std::vector<std::shared_ptr<Partition>>> Controller::create_further_folders(const TopicImage& image) {
  const auto& topic = image.topic;
  std::vector<std::shared_ptr<Partition>> fresh;
  for (auto i = topic.partitions; i < topic.growing_to; ++i) {
    const TopicPartition partition{topic.name, PartitionIndex(i)};
    ASSIGN_OR_RETURN(auto log, directory_.create_log(partition, topic.id, image.settings.log));
    fresh.push_back(std::make_shared<Partition>(partition, shard_of(topic, PartitionIndex(i)), image.settings, services_,
                                                std::move(log)));
  }
  return fresh;
}

/// Brings a growth that failed to one of its ends. No log of the new partitions is open.
Result<> Controller::settle_growth(const std::string& name) {
  auto image = *image_->find(name);
  auto& topic = image.topic;
  if (topic.growing_to == 0) return {};
  ASSIGN_OR_RETURN(const auto stored, await<Topic>([&](auto done) {
                     registry_.begin_growth(name, topic.id, topic.growing_to, std::move(done));
                   }));
  if (stored.growing_to > 0) {
    RETURN_IF_ERROR(undo_growth(topic));
  } else {
    for (auto i = topic.partitions; i < stored.partitions; ++i)
      image.partitions.push_back(open_partition(image, PartitionIndex(i)));
    topic.partitions = stored.partitions;
    topic.growing_to = 0;
  }
  replace_topic(std::move(image));
  return {};
}

Result<> Controller::undo_growth(Topic& topic) {
  if (topic.growing_to == 0) return {};
  for (auto i = topic.partitions; i < topic.growing_to; ++i) {
    auto gone = directory_.remove_log({topic.name, PartitionIndex(i)}, topic.id);
    if (!gone && gone.error().code != Errc::kNotFound) return gone;
  }
  RETURN_IF_ERROR(await<Topic>([&](auto done) { registry_.abandon_growth(topic.name, topic.id, std::move(done)); }));
  topic.growing_to = 0;
  return {};
}

}  // namespace tributary
