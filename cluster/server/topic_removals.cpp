#include "cluster/server/topic_removals.h"

#include "cluster/server/await.h"
#include "common/telemetry/log.h"

namespace tributary {

Result<RemovedTopic> TopicRemovals::unregister(const Topic& topic) {
  auto removed = await<RemovedTopic>([&](auto done) { registry_.remove(topic.name, topic.id, std::move(done)); });
  if (!removed && removed.error().code == Errc::kNotFound) return RemovedTopic{topic.name, topic.id, folder_count(topic)};
  return removed;
}

void TopicRemovals::remove_folders(const RemovedTopic& topic) {
  begin({.topic = {.name = topic.name, .id = topic.id, .partitions = topic.partitions}, .registered = false});
}

void TopicRemovals::take_back(const Topic& topic) { begin({.topic = topic}); }

void TopicRemovals::begin(Removal removal) {
  const auto done = carry_on(removal);
  if (done) return;
  log_error("controller", "cannot remove a topic yet; it is tried again",
            {{"topic", removal.topic.name}, {"id", to_string(removal.topic.id)}, {"error", done.error().message}});
  unfinished_.push_back(std::move(removal));
}

Result<> TopicRemovals::carry_on(Removal& removal) {
  const auto& topic = removal.topic;
  if (removal.registered) {
    RETURN_IF_ERROR(unregister(topic));
    removal.registered = false;
  }
  Result<> first;
  for (std::int32_t i = 0; i < topic.partitions; ++i) {
    auto gone = directory_.remove_log({topic.name, PartitionIndex(i)}, topic.id);
    if (!gone && gone.error().code != Errc::kNotFound && first) first = std::move(gone);
  }
  RETURN_IF_ERROR(first);
  RETURN_IF_ERROR(await<bool>([&](auto done) { registry_.forget_removed(topic.id, std::move(done)); }));
  return {};
}

Result<> TopicRemovals::try_again(Removal& removal) {
  RETURN_IF_ERROR(carry_on(removal));
  log_info("controller", "a topic is removed at last",
           {{"topic", removal.topic.name}, {"id", to_string(removal.topic.id)}});
  return {};
}

void TopicRemovals::retry() {
  std::erase_if(unfinished_, [this](Removal& removal) { return try_again(removal).has_value(); });
}

Result<> TopicRemovals::finish(std::string_view name) {
  Result<> first;
  std::erase_if(unfinished_, [&](Removal& removal) {
    if (removal.topic.name != name) return false;
    auto done = try_again(removal);
    if (!done && first) first = done;
    return done.has_value();
  });
  return first;
}

}  // namespace tributary
