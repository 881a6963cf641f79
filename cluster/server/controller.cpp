#include "cluster/server/controller.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "cluster/server/await.h"
#include "cluster/server/error_mapping.h"
#include "cluster/server/internal_topics.h"
#include "cluster/server/server_metrics.h"
#include "cluster/storage/producer_states.h"
#include "common/base/topic_name.h"
#include "common/env/random.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

TopicPartition partition_name(const Topic& topic, std::int32_t index) {
  return {topic.name, PartitionIndex(index)};
}

void log_recovery(const TopicPartition& partition, const RecoveryReport& report) {
  if (!report.scanned) return;
  const auto name = fmt::to_string(partition);
  if (report.bytes_cut > 0)
    log_warning("recovery", "cut a torn tail that was never acknowledged",
                {{"partition", name}, {"bytes_cut", report.bytes_cut}, {"segments_removed", report.segments_removed},
                 {"reason", report.cut_reason}});
  if (report.bytes_scanned == 0) return;  // of many partitions most are idle
  log_info("recovery", "checked after an unclean stop",
           {{"partition", name}, {"bytes_scanned", report.bytes_scanned}, {"indexes_rebuilt", report.indexes_rebuilt}});
}

}  // namespace

TopicOutcome refused(std::string_view name, ErrorCode error, std::string message) {
  TopicOutcome outcome{.error = error, .message = std::move(message)};
  outcome.topic.name = name;
  return outcome;
}

Controller::Controller(const BrokerOptions& options, const TopicSettings& defaults, LogDirectory& directory,
                       MetadataStore& store, PartitionServices& services, Shards& shards)
    : options_(options), defaults_(defaults), directory_(directory), registry_(store), services_(services),
      shards_(shards), loop_(shards.size(), "controller"), trims_(directory, services.fs, loop_),
      removals_(registry_, directory_) {
  services_.trims = &trims_;
}

Controller::~Controller() { stop(); }

// ---- Opening ---------------------------------------------------------------------------------------

Result<> Controller::open() {
  ASSIGN_OR_RETURN(auto topics, await<std::vector<Topic>>([&](auto done) { registry_.topics(std::move(done)); }));
  ASSIGN_OR_RETURN(const auto removed, await<std::vector<RemovedTopic>>(
                                           [&](auto done) { registry_.removed_topics(std::move(done)); }));
  for (const auto& topic : removed) removals_.remove_folders(topic);
  find_foreign_folders(topics);
  for (auto& topic : topics)
    if (const auto undone = undo_growth(topic); !undone)
      log_error("controller", "cannot take back a growth that a crash cut short; the next growth tries again",
                {{"topic", topic.name}, {"error", undone.error().message}});
  ASSIGN_OR_RETURN(producer_ids_.first,
                   await<ProducerId>([&](auto done) { registry_.next_producer_id(std::move(done)); }));
  ASSIGN_OR_RETURN(auto images, open_topics(topics));
  if (!foreign_producers_.empty())
    log_info("recovery", "the logs have producer ids that were not given here; they will not be",
             {{"count", foreign_producers_.size()}});
  for (const auto& [name, image] : images) {
    const auto& topic = image->topic;
    const bool whole = std::ranges::all_of(image->partitions, [](const auto& p) { return p->is_open(); });
    if (!topic.ready && whole)
      RETURN_IF_ERROR(await<Topic>([&](auto done) { registry_.mark_ready(topic.name, topic.id, std::move(done)); }));
  }
  publish(std::make_shared<const ClusterImage>(std::move(images)));
  return {};
}

void Controller::find_foreign_folders(const std::vector<Topic>& topics) {
  std::map<std::string_view, Uuid> ids;
  for (const auto& topic : topics) ids.emplace(topic.name, topic.id);
  for (const auto& [partition, topic_id] : directory_.found()) {
    const auto owner = ids.find(partition.topic);
    if (owner != ids.end() && topic_id.value_or(owner->second) == owner->second) continue;
    const auto folder = fmt::format("{}/{}", options_.data, partition);
    if (!services_.fs.exists(folder)) continue;  // it was a removed topic's
    foreign_folders_.insert(partition);
    log_warning("recovery", "a partition's folder belongs to no topic, and is left alone", {{"folder", folder}});
  }
  for (const auto& warning : directory_.warnings()) log_warning("recovery", warning);
}

Result<ClusterImage::Topics> Controller::open_topics(const std::vector<Topic>& topics) {
  std::vector<std::shared_ptr<TopicImage>> images;
  std::vector<std::pair<TopicImage*, std::int32_t>> jobs;
  for (const auto& topic : topics) {
    auto configs = topic.configs;
    if (is_internal_topic(topic.name)) configs.insert_or_assign("cleanup.policy", "compact");  // older ones do not say
    auto settings = resolve_topic_settings(defaults_, configs);
    if (!settings) return in_context(fmt::format("topic '{}'", topic.name), settings.error());
    auto& image = images.emplace_back(std::make_shared<TopicImage>(TopicImage{topic, *std::move(settings), {}}));
    image->partitions.resize(static_cast<std::size_t>(topic.partitions));
    for (std::int32_t i = 0; i < topic.partitions; ++i) jobs.emplace_back(image.get(), i);
  }

  // After a crash each log is scanned: all processors help.
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t job = next++; job < jobs.size(); job = next++) {
      auto& [image, i] = jobs[job];
      image->partitions[static_cast<std::size_t>(i)] = open_partition(*image, PartitionIndex(i));
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(shards_.size(), jobs.size()); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();

  ClusterImage::Topics opened;
  for (auto& image : images) opened.emplace(image->topic.name, std::move(image));
  return opened;
}

std::shared_ptr<Partition> Controller::open_partition(const TopicImage& image, PartitionIndex index) {
  auto log = open_log(image.topic, index, image.settings);
  const TopicPartition name{image.topic.name, index};
  if (log) {
    log_recovery(name, (*log)->recovery());
    note_foreign_producers(**log);
  }
  return std::make_shared<Partition>(name, shard_of(image.topic, index), image.settings, services_, std::move(log));
}

Result<std::unique_ptr<Log>> Controller::open_log(const Topic& topic, PartitionIndex index,
                                                  const TopicSettings& settings) {
  const TopicPartition partition{topic.name, index};
  if (foreign_folders_.contains(partition))
    return fail(Errc::kCorrupt, fmt::format("the folder {}/{} belongs to another topic of that name", options_.data, partition));
  auto log = directory_.open_log(partition, settings.log);
  if (log || log.error().code != Errc::kNotFound) return log;
  if (topic.ready) return fail(Errc::kNotFound, fmt::format("the folder {}/{} is missing", options_.data, partition));
  return directory_.create_log(partition, topic.id, settings.log);
}

void Controller::note_foreign_producers(const Log& log) {
  const auto foreign = log.producers().ids_between(producer_ids_.first, ProducerId(kProducerIdMax));
  if (foreign.empty()) return;
  const std::scoped_lock lock(opening_mutex_);
  foreign_producers_.insert(foreign.begin(), foreign.end());
}

Shard& Controller::shard_of(const Topic& topic, PartitionIndex index) const {
  const auto start = static_cast<std::size_t>(topic.id.bytes[0] << 8 | topic.id.bytes[1]);
  return *shards_[(start + static_cast<std::size_t>(index.value())) % shards_.size()];
}

void Controller::publish(std::shared_ptr<const ClusterImage> image) {
  image_ = std::move(image);
  for (const auto& shard : shards_) shard->run_and_wait([&] { shard->set_image(image_); });
  services_.metrics.partitions.set(static_cast<double>(image_->partition_count()));
}

// ---- Running ---------------------------------------------------------------------------------------

void Controller::start() {
  loop_.start();
  loop_.post([this] { checkpoint_later(); });
}

void Controller::stop() {
  loop_.stop();
  checkpoint_timer_.reset();
}

void Controller::checkpoint_later() {
  checkpoint_timer_ = loop_.after(options_.checkpoint_interval, [this] {
    write_checkpoint();
    removals_.retry();
    checkpoint_later();
  });
}

void Controller::write_checkpoint() {
  bool changed = false;
  for (const auto& shard : shards_) {
    shard->run_and_wait([&] {
      for (const auto& [name, topic] : image_->topics())
        for (const auto& partition : topic->partitions) {
          if (&partition->shard() != shard.get()) continue;
          const auto durable = partition->durable_offset();
          if (!durable) continue;
          auto& noted = checkpointed_[partition->name()];
          if (noted == *durable) continue;
          noted = *durable;
          directory_.set_recovery_point(partition->name(), *durable);
          changed = true;
        }
    });
  }
  if (!changed) return;
  if (const auto written = directory_.write_checkpoint(); !written)
    log_error("controller", "cannot write the recovery checkpoint", {{"error", written.error().message}});
}

void Controller::close_partitions() {
  for (const auto& shard : shards_) {
    shard->run_and_wait([&] {
      for (const auto& [name, topic] : image_->topics())
        for (const auto& partition : topic->partitions)
          if (&partition->shard() == shard.get())
            closing_logs_.emplace_back(partition, partition->close(ErrorCode::kNotLeaderOrFollower));
    });
  }
}

Result<> Controller::close_logs() {
  Result<> first;
  for (auto& [partition, log] : closing_logs_) {
    auto closed = [&]() -> Result<> {
      // A partition without a log stays as it was found: damaged, to be looked at.
      if (!log) return fail(Errc::kUnavailable, fmt::format("{} is offline", partition->name()));
      if (const auto& why = partition->failed_after_close()) return tl::unexpected<Error>(*why);
      return log->close_cleanly();
    }();
    if (!closed) {
      log_error("controller", "a log was not closed cleanly",
                {{"partition", fmt::to_string(partition->name())}, {"error", closed.error().message}});
      if (first) first = std::move(closed);
      continue;
    }
    directory_.set_recovery_point(partition->name(), log->stable_offset());
  }
  closing_logs_.clear();
  return first;
}

// ---- Topics ----------------------------------------------------------------------------------------

void Controller::create_topics(std::vector<NewTopic> topics, bool validate_only, Shard& home,
                               Done<std::vector<TopicOutcome>> done) {
  loop_.post([this, topics = std::move(topics), validate_only, &home, done = std::move(done)] {
    std::vector<TopicOutcome> outcomes;
    for (const auto& topic : topics) outcomes.push_back(create_one(topic, validate_only));
    home.post([done, outcomes = std::move(outcomes)]() mutable { done(std::move(outcomes)); });
  });
}

TopicOutcome Controller::validate(const NewTopic& wanted, TopicSettings& settings) const {
  if (const auto valid = validate_topic_name(wanted.name); !valid)
    return refused(wanted.name, ErrorCode::kInvalidTopicException, valid.error().message);
  if (image_->find(wanted.name))
    return refused(wanted.name, ErrorCode::kTopicAlreadyExists, fmt::format("topic '{}' already exists", wanted.name));
  TopicOutcome outcome;
  outcome.topic.name = wanted.name;
  outcome.topic.partitions = wanted.partitions == -1 ? options_.num_partitions : wanted.partitions;
  outcome.topic.configs = wanted.configs;
  // The limits are for clients: without its own topics the broker is of no use to them.
  const bool limited = !is_internal_topic(wanted.name);
  if (outcome.topic.partitions < 1 || (limited && outcome.topic.partitions > options_.partitions_per_topic_max))
    return refused(wanted.name, ErrorCode::kInvalidPartitions,
                   fmt::format("{} partitions: 1 to {} are allowed", outcome.topic.partitions,
                               options_.partitions_per_topic_max));
  const auto total = image_->partition_count() + static_cast<std::size_t>(outcome.topic.partitions);
  if (limited && total > static_cast<std::size_t>(options_.partitions_max))
    return refused(wanted.name, ErrorCode::kPolicyViolation,
                   fmt::format("this broker would have {} partitions: at most {} are allowed", total,
                               options_.partitions_max));
  auto resolved = resolve_topic_settings(defaults_, wanted.configs);
  if (!resolved) return refused(wanted.name, ErrorCode::kInvalidConfig, resolved.error().message);
  settings = *std::move(resolved);
  return outcome;
}

TopicOutcome Controller::create_one(const NewTopic& wanted, bool validate_only) {
  TopicSettings settings;
  auto outcome = validate(wanted, settings);
  if (outcome.error != ErrorCode::kNone || validate_only) return outcome;
  auto& topic = outcome.topic;
  topic.id = uuid_from_random(random_u64_from_os(), random_u64_from_os());
  topic.created_ms = services_.clock.wall_now_ms();

  if (const auto free = removals_.finish(topic.name); !free)
    return refused(topic.name, ErrorCode::kKafkaStorageError,
                   fmt::format("a former topic '{}' is not removed yet: {}", topic.name, free.error().message));
  auto created = await<Topic>([&](auto done) { registry_.create(topic, std::move(done)); });
  if (!created) {
    // With these the store may have taken it nevertheless, and would refuse the name from now on.
    if (created.error().code == Errc::kIo || created.error().code == Errc::kUnavailable) removals_.take_back(topic);
    return refused(topic.name, topic_error(created.error()), created.error().message);
  }
  auto image = create_folders(topic, settings);
  if (image) {
    auto ready = await<Topic>([&](auto done) { registry_.mark_ready(topic.name, topic.id, std::move(done)); });
    if (!ready) image = tl::unexpected<Error>(std::move(ready).error());
  }
  if (!image) {
    log_error("controller", "cannot create a topic", {{"topic", topic.name}, {"error", image.error().message}});
    removals_.take_back(topic);
    return refused(topic.name, ErrorCode::kKafkaStorageError, image.error().message);
  }
  auto topics = image_->topics();
  topics.emplace(topic.name, *std::move(image));
  publish(std::make_shared<const ClusterImage>(std::move(topics)));
  log_info("controller", "topic created",
           {{"topic", topic.name}, {"id", to_string(topic.id)}, {"partitions", topic.partitions}});
  return outcome;
}

Result<std::shared_ptr<const TopicImage>> Controller::create_folders(const Topic& topic,
                                                                     const TopicSettings& settings) {
  auto image = std::make_shared<TopicImage>(TopicImage{topic, settings, {}});
  for (std::int32_t i = 0; i < topic.partitions; ++i) {
    ASSIGN_OR_RETURN(auto log, directory_.create_log(partition_name(topic, i), topic.id, settings.log));
    image->partitions.push_back(std::make_shared<Partition>(
        partition_name(topic, i), shard_of(topic, PartitionIndex(i)), settings, services_, std::move(log)));
  }
  return image;
}

void Controller::delete_topics(std::vector<TopicToDelete> topics, Shard& home,
                               Done<std::vector<TopicOutcome>> done) {
  loop_.post([this, topics = std::move(topics), &home, done = std::move(done)] {
    std::vector<TopicOutcome> outcomes;
    for (const auto& topic : topics) outcomes.push_back(delete_one(topic));
    home.post([done, outcomes = std::move(outcomes)]() mutable { done(std::move(outcomes)); });
  });
}

TopicOutcome Controller::delete_one(const TopicToDelete& wanted) {
  const auto& name = wanted.name;
  const auto* image = image_->find(name);
  if (!wanted.id.is_zero() && (!image || image->topic.id != wanted.id))
    return refused(name, ErrorCode::kUnknownTopicId, fmt::format("there is no topic with the id {}", to_string(wanted.id)));
  if (!image)
    return refused(name, ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", name));
  TopicOutcome outcome{.topic = image->topic};
  const auto removed = removals_.unregister(image->topic);
  if (!removed) return refused(name, topic_error(removed.error()), removed.error().message);

  const auto partitions = image->partitions;
  auto topics = image_->topics();
  topics.erase(name);
  publish(std::make_shared<const ClusterImage>(std::move(topics)));
  for (const auto& partition : partitions) {
    partition->shard().run_and_wait([&] { partition->close(ErrorCode::kUnknownTopicOrPartition).reset(); });
    services_.leave_files(partition->name());
    checkpointed_.erase(partition->name());
    services_.on_deleted(partition->name());
  }
  removals_.remove_folders(*removed);
  log_info("controller", "topic deleted", {{"topic", name}, {"id", to_string(removed->id)}});
  return outcome;
}

// ---- Producer ids ----------------------------------------------------------------------------------

void Controller::new_producer_id(Shard& home, Done<Result<ProducerId>> done) {
  loop_.post([this, &home, done = std::move(done)] {
    home.post([done, id = next_producer_id()]() mutable { done(std::move(id)); });
  });
}

void Controller::measure_volume(Shard& home, Done<Result<VolumeSpace>> done) {
  loop_.post([this, &home, done = std::move(done)] {
    home.post([done, space = services_.fs.volume_space(options_.data)]() mutable { done(std::move(space)); });
  });
}

Result<ProducerId> Controller::next_producer_id() {
  while (true) {
    if (producer_ids_.count == 0) {
      ASSIGN_OR_RETURN(producer_ids_,
                       await<ProducerIdBlock>([&](auto done) { registry_.take_producer_ids(std::move(done)); }));
    }
    const auto id = producer_ids_.first;
    ++producer_ids_.first;
    --producer_ids_.count;
    if (!foreign_producers_.contains(id)) return id;
  }
}

}  // namespace tributary
