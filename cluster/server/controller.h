#pragma once
// Makes what the metadata says true: opens, creates and deletes partitions, and tells the shards.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "cluster/metadata/topic_registry.h"
#include "cluster/server/cluster_image.h"
#include "cluster/server/config_changes.h"
#include "cluster/server/log_trims.h"
#include "cluster/server/partition.h"
#include "cluster/server/shard.h"
#include "cluster/server/topic_removals.h"
#include "cluster/storage/log_directory.h"

namespace tributary {

struct NewTopic {
  std::string name;
  std::int32_t partitions = -1;  // -1: the broker's default
  TopicConfigs configs;
};

struct TopicToDelete {
  std::string name;
  Uuid id;  // zero: whichever topic has the name
};

struct TopicConfigChanges {
  std::string name;
  std::vector<ConfigChange> changes;
};

struct TopicGrowth {
  std::string name;
  std::int32_t partitions = 0;  // that there will be, old ones included
  std::optional<std::size_t> assigned;  // how many of them the client has assigned, if it did that
};

/// What became of one topic of a request.
struct TopicOutcome {
  ErrorCode error = ErrorCode::kNone;
  std::string message;  // of the error
  Topic topic;
};

[[nodiscard]] TopicOutcome refused(std::string_view name, ErrorCode error, std::string message);

/// Has a thread of its own, on which it may wait for the disk and for the metadata store: shards never
/// do. All changes of topics go through it, one after the other.
///
/// Lifecycle: open, start, stop, close_partitions. What it uses must outlive it.
class Controller {
 public:
  template <class T>
  using Done = std::function<void(T)>;
  using Shards = std::vector<std::unique_ptr<Shard>>;

  Controller(const BrokerOptions& options, const TopicSettings& defaults, LogDirectory& directory,
             MetadataStore& store, PartitionServices& services, Shards& shards);
  ~Controller();  // stop()

  /// Opens all partitions, finishes creations and deletions that a crash cut short, and gives every
  /// shard its image. Blocks. The shards must run.
  [[nodiscard]] Result<> open();
  void start();
  /// Ends what is being done; requests not begun are dropped with their `done`.
  void stop();
  /// After stop(), with the shards still running: answers all who wait at partitions.
  void close_partitions();
  /// After close_partitions(), and after the flusher has stopped: closes all logs cleanly and notes how far they are durable.
  /// The first error, if one did not close.
  [[nodiscard]] Result<> close_logs();

  // Any shard. `done` runs on `home`.

  /// Outcomes in the order of `topics`. When `done` runs, the new topics are durable and every shard knows them.
  void create_topics(std::vector<NewTopic> topics, bool validate_only, Shard& home,
                     Done<std::vector<TopicOutcome>> done);
  /// When `done` runs, no shard serves them any more and they do not come back.
  void delete_topics(std::vector<TopicToDelete> topics, Shard& home, Done<std::vector<TopicOutcome>> done);
  /// When `done` runs, the configs are durable and the partitions go by them. After an error of the store they
  /// may be in force from the next start on.
  void alter_configs(std::vector<TopicConfigChanges> topics, bool validate_only, Shard& home,
                     Done<std::vector<TopicOutcome>> done);
  /// When `done` runs, the new partitions are durable and every shard knows them; the old ones are untouched.
  /// If it never does, the topic has the old or the new number after the next start.
  void grow_topics(std::vector<TopicGrowth> topics, bool validate_only, Shard& home,
                   Done<std::vector<TopicOutcome>> done);
  /// An id that nobody else was given or will be, even after a crash.
  void new_producer_id(Shard& home, Done<Result<ProducerId>> done);
  /// Of the data folder's volume.
  void measure_volume(Shard& home, Done<Result<VolumeSpace>> done);

 private:
  void find_foreign_folders(const std::vector<Topic>& topics);
  [[nodiscard]] Result<ClusterImage::Topics> open_topics(const std::vector<Topic>& topics);
  // Several threads at once, while opening.
  [[nodiscard]] std::shared_ptr<Partition> open_partition(const TopicImage& image, PartitionIndex index);
  [[nodiscard]] Result<std::unique_ptr<Log>> open_log(const Topic& topic, PartitionIndex index,
                                                      const TopicSettings& settings);
  void note_foreign_producers(const Log& log);

  [[nodiscard]] TopicOutcome create_one(const NewTopic& wanted, bool validate_only);
  [[nodiscard]] TopicOutcome validate(const NewTopic& wanted, TopicSettings& settings) const;
  [[nodiscard]] Result<std::shared_ptr<const TopicImage>> create_folders(const Topic& topic,
                                                                         const TopicSettings& settings);
  [[nodiscard]] TopicOutcome delete_one(const TopicToDelete& wanted);
  [[nodiscard]] TopicOutcome alter_one(const TopicConfigChanges& wanted, bool validate_only);
  [[nodiscard]] Result<> store_configs(const Topic& topic);
  [[nodiscard]] TopicOutcome grow_one(const TopicGrowth& wanted, bool validate_only);
  [[nodiscard]] TopicOutcome validate_growth(const TopicImage& image, const TopicGrowth& wanted) const;
  [[nodiscard]] Result<std::vector<std::shared_ptr<Partition>>> create_further_folders(const TopicImage& image);
  [[nodiscard]] Result<> settle_growth(const std::string& name);
  [[nodiscard]] Result<> undo_growth(Topic& topic);
  void replace_topic(TopicImage image);
  [[nodiscard]] Result<ProducerId> next_producer_id();

  [[nodiscard]] Shard& shard_of(const Topic& topic, PartitionIndex index) const;
  void publish(std::shared_ptr<const ClusterImage> image);
  void checkpoint_later();
  void write_checkpoint();

  // constant
  const BrokerOptions& options_;
  const TopicSettings& defaults_;
  LogDirectory& directory_;
  TopicRegistry registry_;
  PartitionServices& services_;
  Shards& shards_;

  // the controller's thread; before start() and after stop() the caller's
  Shard loop_;
  LogTrims trims_;
  std::shared_ptr<const ClusterImage> image_ = std::make_shared<const ClusterImage>();
  TopicRemovals removals_;
  /// Folders found at the start that are not those of the topic of that name, if there is one: not opened.
  std::set<TopicPartition> foreign_folders_;
  ProducerIdBlock producer_ids_;
  /// Ids in the logs that were not given here, and never are: another cluster wrote the log, or the metadata is older
  /// than it. A new producer of that id would be taken for the old one, its batches for duplicates.
  std::unordered_set<ProducerId> foreign_producers_;
  std::mutex opening_mutex_;  // while several threads open: guards foreign_producers_
  std::map<TopicPartition, Offset> checkpointed_;
  std::unique_ptr<ShardTimer> checkpoint_timer_;
  std::vector<std::pair<std::shared_ptr<Partition>, std::unique_ptr<Log>>> closing_logs_;
};

}  // namespace tributary
