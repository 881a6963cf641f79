#include "cluster/metadata/topic_registry.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/topic_name.h"

namespace tributary {
namespace {

using nlohmann::json;

constexpr const char* kClusterIdKey = "/cluster/id";
constexpr const char* kProducerIdsKey = "/cluster/producer_ids";
constexpr int kFormat = 1;
constexpr std::int32_t kPartitionsSane = 1'000'000;

std::string topic_key(std::string_view name) { return fmt::format("/topics/{}", name); }
std::string removed_key(const Uuid& id) { return fmt::format("/removed_topics/{}", to_string(id)); }

tl::unexpected<Error> corrupt(const MetadataEntry& entry, std::string_view why) {
  return fail(Errc::kCorrupt, fmt::format("metadata key {}: {}", entry.key, why));
}

/// Runs `read` on the entry's JSON; what nlohmann throws becomes kCorrupt.
template <class Read>
auto parse(const MetadataEntry& entry, Read read) -> Result<decltype(read(json()))> {
  try {
    const auto value = json::parse(entry.value);
    if (value.at("format").get<int>() != kFormat)
      return fail(Errc::kUnsupported, fmt::format("metadata key {}: format {} is not {}", entry.key,
                                                  value.at("format").dump(), kFormat));
    return read(value);
  } catch (const json::exception& e) {
    return corrupt(entry, e.what());
  }
}

std::string name_part(const std::string& key) { return key.substr(key.rfind('/') + 1); }

std::string to_json(const Topic& topic) {
  json value{{"format", kFormat},
             {"id", to_string(topic.id)},
             {"partitions", topic.partitions},
             {"configs", topic.configs},
             {"created_ms", topic.created_ms},
             {"ready", topic.ready}};
  if (topic.growing_to > 0) value["growing_to"] = topic.growing_to;
  return value.dump();
}

Result<Topic> topic_of(const MetadataEntry& entry) {
  std::optional<Uuid> id;
  auto topic = parse(entry, [&](const json& value) {
    id = parse_uuid(value.at("id").get<std::string>());
    return Topic{name_part(entry.key), id.value_or(Uuid{}), value.at("partitions").get<std::int32_t>(),
                 value.at("configs").get<TopicConfigs>(), value.at("created_ms").get<WallMs>(),
                 value.at("ready").get<bool>(), value.value("growing_to", std::int32_t{0})};
  });
  if (!topic) return topic;
  if (!id || topic->partitions < 1 || topic->partitions > kPartitionsSane ||
      (topic->growing_to != 0 && (topic->growing_to <= topic->partitions || topic->growing_to > kPartitionsSane)))
    return corrupt(entry, "no such id or number of partitions");
  return topic;
}

Result<RemovedTopic> removed_of(const MetadataEntry& entry) {
  const auto id = parse_uuid(name_part(entry.key));
  auto removed = parse(entry, [&](const json& value) {
    return RemovedTopic{value.at("name").get<std::string>(), id.value_or(Uuid{}),
                        value.at("partitions").get<std::int32_t>()};
  });
  if (removed && (!id || removed->partitions < 0 || removed->partitions > kPartitionsSane ||
                  !validate_topic_name(removed->name)))
    return corrupt(entry, "no such id, name or number of partitions");
  return removed;
}

template <class T>
auto list_into(MetadataStore::Done<std::vector<T>> done, Result<T> (*read)(const MetadataEntry&)) {
  return [done = std::move(done), read](Result<std::vector<MetadataEntry>> entries) {
    if (!entries) return done(tl::unexpected<Error>(std::move(entries).error()));
    std::vector<T> values;
    for (const auto& entry : *entries) {
      auto value = read(entry);
      if (!value) return done(tl::unexpected<Error>(std::move(value).error()));
      values.push_back(*std::move(value));
    }
    done(std::move(values));
  };
}

/// The first producer id that no block has taken. `entry` is that of kProducerIdsKey, if there is one.
Result<std::int64_t> first_untaken(const std::optional<MetadataEntry>& entry) {
  if (!entry) return 0;
  ASSIGN_OR_RETURN(const auto next,
                   parse(*entry, [](const json& value) { return value.at("next").get<std::int64_t>(); }));
  if (next < 0) return corrupt(*entry, "a negative producer id");
  return next;
}

void take_block(MetadataStore& store, MetadataStore::Done<ProducerIdBlock> done) {
  store.get(kProducerIdsKey, [&store, done = std::move(done)](Result<std::optional<MetadataEntry>> entry) {
    if (!entry) return done(tl::unexpected<Error>(std::move(entry).error()));
    const auto untaken = first_untaken(*entry);
    if (!untaken) return done(tl::unexpected<Error>(untaken.error()));
    const auto next = *untaken;
    if (next > kProducerIdMax - kProducerIdBlockSize)
      return done(fail(Errc::kNoSpace, "all producer ids have been handed out"));
    auto value = json{{"format", kFormat}, {"next", next + kProducerIdBlockSize}}.dump();
    auto write = *entry ? MetadataWrite::put(kProducerIdsKey, std::move(value), (*entry)->version)
                        : MetadataWrite::create(kProducerIdsKey, std::move(value));
    store.commit({std::move(write)}, [&store, done, next](Result<MetadataStore::NewVersions> committed) {
      if (committed) return done(ProducerIdBlock{ProducerId(next), kProducerIdBlockSize});
      const auto code = committed.error().code;
      // Another broker took the block that we read.
      if (code == Errc::kVersionMismatch || code == Errc::kAlreadyExists) return take_block(store, done);
      done(tl::unexpected<Error>(std::move(committed).error()));
    });
  });
}

struct FoundTopic {
  Topic topic;
  MetadataVersion version;
};

void find_topic(MetadataStore& store, const std::string& name, Uuid id, MetadataStore::Done<FoundTopic> done) {
  store.get(topic_key(name), [name, id, done = std::move(done)](Result<std::optional<MetadataEntry>> entry) {
    if (!entry) return done(tl::unexpected<Error>(std::move(entry).error()));
    const auto absent = [&] { return fail(Errc::kNotFound, fmt::format("there is no topic '{}'", name)); };
    if (!*entry) return done(absent());
    auto topic = topic_of(**entry);
    if (!topic) return done(tl::unexpected<Error>(std::move(topic).error()));
    if (topic->id != id) return done(absent());
    done(FoundTopic{*std::move(topic), (*entry)->version});
  });
}

/// The key changed between our read and our commit: look again.
bool lost_race(const Error& error) {
  return error.code == Errc::kVersionMismatch || error.code == Errc::kNotFound;
}

using TopicChange = std::function<void(Topic&)>;

/// `change` may be called again, on a topic that others have changed meanwhile.
void change_topic(MetadataStore& store, const std::string& name, Uuid id, TopicChange change,
                  MetadataStore::Done<Topic> done) {
  find_topic(store, name, id, [&store, change = std::move(change), done = std::move(done)](Result<FoundTopic> found) {
    if (!found) return done(tl::unexpected<Error>(std::move(found).error()));
    auto topic = std::move(found->topic);
    change(topic);
    store.commit({MetadataWrite::put(topic_key(topic.name), to_json(topic), found->version)},
                 [&store, topic, change, done](Result<MetadataStore::NewVersions> committed) {
                   if (committed) return done(topic);
                   if (lost_race(committed.error())) return change_topic(store, topic.name, topic.id, change, done);
                   done(tl::unexpected<Error>(std::move(committed).error()));
                 });
  });
}

Result<Uuid> cluster_id_of(const MetadataEntry& entry) {
  auto text = parse(entry, [](const json& value) { return value.at("id").get<std::string>(); });
  if (!text) return tl::unexpected<Error>(std::move(text).error());
  const auto id = parse_uuid(*text);
  if (!id) return corrupt(entry, "not a cluster id");
  return *id;
}

}  // namespace

void TopicRegistry::cluster_id(const Uuid& if_new, Done<Uuid> done) {
  auto& store = store_;
  store.get(kClusterIdKey, [&store, if_new, done = std::move(done)](Result<std::optional<MetadataEntry>> entry) {
    if (!entry) return done(tl::unexpected<Error>(std::move(entry).error()));
    if (*entry) return done(cluster_id_of(**entry));
    auto value = json{{"format", kFormat}, {"id", to_string(if_new)}}.dump();
    store.commit({MetadataWrite::create(kClusterIdKey, std::move(value))},
                 [&store, if_new, done](Result<MetadataStore::NewVersions> committed) {
                   if (committed) return done(if_new);
                   if (committed.error().code == Errc::kAlreadyExists)  // another broker was first
                     return TopicRegistry(store).cluster_id(if_new, done);
                   done(tl::unexpected<Error>(std::move(committed).error()));
                 });
  });
}

void TopicRegistry::topics(Done<std::vector<Topic>> done) {
  store_.list("/topics", list_into<Topic>(std::move(done), topic_of));
}

void TopicRegistry::create(Topic topic, Done<Topic> done) {
  if (auto valid = validate_topic_name(topic.name); !valid)
    return done(tl::unexpected<Error>(std::move(valid).error()));
  auto write = MetadataWrite::create(topic_key(topic.name), to_json(topic));
  store_.commit({std::move(write)},
                [topic = std::move(topic), done = std::move(done)](Result<MetadataStore::NewVersions> committed) {
                  if (committed) return done(topic);
                  if (committed.error().code == Errc::kAlreadyExists)
                    return done(fail(Errc::kAlreadyExists, fmt::format("topic '{}' already exists", topic.name)));
                  done(tl::unexpected<Error>(std::move(committed).error()));
                });
}

void TopicRegistry::mark_ready(std::string name, Uuid id, Done<Topic> done) {
  change_topic(store_, name, id, [](Topic& topic) { topic.ready = true; }, std::move(done));
}

void TopicRegistry::topic(std::string name, Uuid id, Done<Topic> done) {
  find_topic(store_, name, id, [done = std::move(done)](Result<FoundTopic> found) {
    if (!found) return done(tl::unexpected<Error>(std::move(found).error()));
    done(std::move(found->topic));
  });
}

void TopicRegistry::set_configs(std::string name, Uuid id, TopicConfigs configs, Done<Topic> done) {
  change_topic(store_, name, id, [configs = std::move(configs)](Topic& topic) { topic.configs = configs; },
               std::move(done));
}

void TopicRegistry::begin_growth(std::string name, Uuid id, std::int32_t partitions, Done<Topic> done) {
  change_topic(store_, name, id,
               [partitions](Topic& topic) { topic.growing_to = partitions > topic.partitions ? partitions : 0; },
               std::move(done));
}

void TopicRegistry::finish_growth(std::string name, Uuid id, Done<Topic> done) {
  change_topic(store_, name, id,
               [](Topic& topic) {
                 topic.partitions = folder_count(topic);
                 topic.growing_to = 0;
               },
               std::move(done));
}

void TopicRegistry::abandon_growth(std::string name, Uuid id, Done<Topic> done) {
  change_topic(store_, name, id, [](Topic& topic) { topic.growing_to = 0; }, std::move(done));
}

void TopicRegistry::remove(std::string name, Uuid id, Done<RemovedTopic> done) {
  auto& store = store_;
  find_topic(store, name, id, [&store, done = std::move(done)](Result<FoundTopic> found) {
    if (!found) return done(tl::unexpected<Error>(std::move(found).error()));
    const RemovedTopic removed{found->topic.name, found->topic.id, folder_count(found->topic)};
    auto note = json{{"format", kFormat}, {"name", removed.name}, {"partitions", removed.partitions}}.dump();
    store.commit({MetadataWrite::remove(topic_key(removed.name), found->version),
                  MetadataWrite::create(removed_key(removed.id), std::move(note))},
                 [&store, removed, done](Result<MetadataStore::NewVersions> committed) {
                   if (committed) return done(removed);
                   if (lost_race(committed.error())) return TopicRegistry(store).remove(removed.name, removed.id, done);
                   done(tl::unexpected<Error>(std::move(committed).error()));
                 });
  });
}

void TopicRegistry::removed_topics(Done<std::vector<RemovedTopic>> done) {
  store_.list("/removed_topics", list_into<RemovedTopic>(std::move(done), removed_of));
}

void TopicRegistry::forget_removed(Uuid id, Done<bool> done) {
  store_.commit({MetadataWrite::remove(removed_key(id), kAnyVersion)},
                [done = std::move(done)](Result<MetadataStore::NewVersions> committed) {
                  if (committed || committed.error().code == Errc::kNotFound) return done(true);
                  done(tl::unexpected<Error>(std::move(committed).error()));
                });
}

void TopicRegistry::next_producer_id(Done<ProducerId> done) {
  store_.get(kProducerIdsKey, [done = std::move(done)](Result<std::optional<MetadataEntry>> entry) {
    if (!entry) return done(tl::unexpected<Error>(std::move(entry).error()));
    done(first_untaken(*entry).map([](std::int64_t next) { return ProducerId(next); }));
  });
}

void TopicRegistry::take_producer_ids(Done<ProducerIdBlock> done) { take_block(store_, std::move(done)); }

}  // namespace tributary
