#pragma once
// The consumer groups of one shard: those whose partition of __consumer_offsets lives there.

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/groups/coordinator.h"
#include "cluster/server/partition.h"
#include "cluster/server/shard.h"
#include "common/env/random.h"
#include "common/record/batch_builder.h"
#include "common/record/compression.h"
#include "common/telemetry/log.h"

namespace tributary {

class ClusterImage;

/// Gives the coordinator what it lacks: the log, a clock, a timer, and who waits for an answer. Follows the shard's
/// image: partitions of __consumer_offsets that appear are read, those that go are given up.
///
/// This shard's thread only, after start().
class ShardGroups {
 public:
  using Reply = std::function<void(GroupResult)>;
  /// Makes one request of the coordinator, with this token.
  using Ask = std::function<void(GroupCoordinator&, Moment, ReplyToken)>;

  /// What is given must outlive it, and the shard must have stopped before it is destroyed.
  ShardGroups(const GroupOptions& options, Shard& shard, const Clock& clock);
  ~ShardGroups();

  /// From any thread, while the shard runs. Begins to read what is there; requests that come before it is read
  /// are answered with COORDINATOR_LOAD_IN_PROGRESS.
  void start();
  /// The same. Answers all who wait: NOT_COORDINATOR.
  void stop();

  /// Any thread.
  [[nodiscard]] Shard& shard() const { return shard_; }

  /// `reply` is called on this thread, within the call or later; never, if the shard stops before.
  void ask(const Ask& ask, Reply reply);
  /// See GroupCoordinator.
  void connection_lost(const std::string& group_id, const std::string& member_id, ReplyToken last);
  [[nodiscard]] const GroupCoordinator& coordinator() const { return *coordinator_; }

 private:
  class Appended;
  struct Loading {
    std::int32_t index = 0;
    std::shared_ptr<Partition> partition;
    Offset next{0};
    std::int64_t malformed = 0;  // batches and records that were passed over
    std::string first_malformed;
    void pass_over(Offset offset, const Error& why);
  };

  [[nodiscard]] Moment now() const;
  [[nodiscard]] Result<> read_slice(const LogSlice& slice);
  void follow(const ClusterImage& image);
  void follow_offsets_topic(const ClusterImage& image);
  void load_some();
  /// False if there is no more.
  [[nodiscard]] Result<bool> load_chunk(Loading& loading);
  void loaded(const Loading& loading);
  [[nodiscard]] Result<> load_batch(Loading& loading, ByteView batch);
  void pump();
  void append(const GroupAppend& append);
  void appended(AppendTicket ticket, ErrorCode error);
  void arm();

  const GroupOptions options_;
  Shard& shard_;
  const Clock& clock_;
  SeededRandom random_;
  std::unique_ptr<GroupCoordinator> coordinator_;

  std::shared_ptr<const ClusterImage> image_;           // followed last
  std::vector<std::shared_ptr<Partition>> partitions_;  // of __consumer_offsets; null: another shard's
  std::deque<Loading> loading_;
  bool load_posted_ = false;
  Bytes chunk_;
  Decompressor decompressor_;

  std::unordered_map<ReplyToken, Reply> replies_;
  ReplyToken next_token_{1};
  BatchBuilder builder_;
  bool pumping_ = false;
  bool stopped_ = false;
  MonoTime armed_for_ = MonoTime::max();
  std::unique_ptr<ShardTimer> timer_;
  std::unique_ptr<ShardTimer> load_timer_;
  OncePer read_trouble_;
};

}  // namespace tributary
