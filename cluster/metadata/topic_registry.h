#pragma once
// What a cluster keeps in its MetadataStore, with types: its id, its topics, its producer ids.
//
//   /cluster/id              {"format":1,"id":"<22 characters>"}
//   /cluster/producer_ids    {"format":1,"next":2000}
//   /topics/<name>           {"format":1,"id":"…","partitions":4,"configs":{"segment.bytes":"1048576"},"created_ms":…,"ready":true}
//                            and "growing_to":8 while a growth is under way
//   /removed_topics/<id>     {"format":1,"name":"readings","partitions":4}

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/metadata/metadata_store.h"
#include "common/base/ids.h"
#include "common/base/uuid.h"
#include "common/env/clock.h"

namespace tributary {

using TopicConfigs = std::map<std::string, std::string>;

struct Topic {
  std::string name;
  Uuid id;
  std::int32_t partitions = 1;
  TopicConfigs configs;  // only what was set on the topic
  WallMs created_ms = 0;
  /// All its folders have been created once: one that is missing later is a loss, not a start.
  bool ready = false;
  /// More than `partitions` while it gets more: folders up to this one (exclusive) may be there, but are not
  /// the topic's yet. 0: no growth is under way.
  std::int32_t growing_to = 0;
  friend bool operator==(const Topic&, const Topic&) = default;
};

/// How many folders it may have.
[[nodiscard]] inline std::int32_t folder_count(const Topic& topic) {
  return std::max(topic.partitions, topic.growing_to);
}

/// A topic that is no longer there, but whose folders may be.
struct RemovedTopic {
  std::string name;
  Uuid id;
  std::int32_t partitions = 0;
  friend bool operator==(const RemovedTopic&, const RemovedTopic&) = default;
};

/// Producer ids [first, first + count).
struct ProducerIdBlock {
  ProducerId first{0};
  std::int32_t count = 0;
};

/// Small ids are handed out from here; ids from 2^61 on are left to producers that choose their own at random.
inline constexpr std::int32_t kProducerIdBlockSize = 1000;
inline constexpr std::int64_t kProducerIdMax = (std::int64_t{1} << 61) - 1;

/// Stateless, but for the store that it talks to and must not outlive. Calls may come from any thread; `done` runs as
/// the store's do: once, on the store's thread, without blocking. Each change is durable when `done`
/// reports success; if it never does, all of the change is there, or nothing. Values that do not parse give kCorrupt.
class TopicRegistry {
 public:
  template <class T>
  using Done = MetadataStore::Done<T>;

  explicit TopicRegistry(MetadataStore& store) : store_(store) {}

  /// The cluster's id; the first call ever makes `if_new` the id.
  void cluster_id(const Uuid& if_new, Done<Uuid> done);

  /// All topics, sorted by name.
  void topics(Done<std::vector<Topic>> done);

  /// kAlreadyExists if the name is taken.
  void create(Topic topic, Done<Topic> done);

  /// All folders of the topic are there, durably. kNotFound if it is not there with this id.
  void mark_ready(std::string name, Uuid id, Done<Topic> done);

  /// As it is now. kNotFound if it is not there with this id.
  void topic(std::string name, Uuid id, Done<Topic> done);

  /// Puts `configs` in the place of all of the topic's. kNotFound if it is not there with this id.
  void set_configs(std::string name, Uuid id, TopicConfigs configs, Done<Topic> done);

  // Growth has three steps: the intent; the folders; one of the ends. The topic has the old number of partitions
  // until the first end is durable. All give kNotFound if the topic is not there with this id.

  /// Notes that folders up to `partitions` may be there; nothing, if the topic has that many partitions already.
  /// After it no earlier call whose outcome is unknown takes effect any more.
  void begin_growth(std::string name, Uuid id, std::int32_t partitions, Done<Topic> done);
  /// All those folders are there, durably: they are the topic's.
  void finish_growth(std::string name, Uuid id, Done<Topic> done);
  /// None of those folders is there any more, durably.
  void abandon_growth(std::string name, Uuid id, Done<Topic> done);

  /// Takes the topic away and remembers, in the same commit, that its folders are to be removed.
  /// kNotFound if it is not there with this id.
  void remove(std::string name, Uuid id, Done<RemovedTopic> done);

  /// Topics whose folders may still be there: to be removed before anything is opened.
  void removed_topics(Done<std::vector<RemovedTopic>> done);

  /// The folders are gone, durably.
  void forget_removed(Uuid id, Done<bool> done);

  /// From this one on no producer id was given yet.
  void next_producer_id(Done<ProducerId> done);

  /// Ids that nobody was given before or will be given again, also after a crash: what is not used of
  /// a block is lost.
  void take_producer_ids(Done<ProducerIdBlock> done);

 private:
  MetadataStore& store_;
};

}  // namespace tributary
