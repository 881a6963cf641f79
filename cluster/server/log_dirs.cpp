// DescribeLogDirs: each partition is asked for its size on its shard, the controller for the volume: a shard does not
// wait for a disk.

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>

#include "cluster/server/cluster_image.h"
#include "cluster/server/controller.h"
#include "cluster/server/handlers.h"
#include "cluster/server/partition.h"
#include "common/protocol/messages/describe_log_dirs.h"

namespace tributary {
namespace {

class LogDirsOperation final : public std::enable_shared_from_this<LogDirsOperation> {
  using Request = DescribeLogDirsRequest;
  using Response = DescribeLogDirsResponse;

 public:
  LogDirsOperation(CallPtr call, Request request) : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    collect();
    std::map<Shard*, std::vector<Slot*>> groups;
    for (auto& [name, slot] : slots_) groups[&slot.partition->shard()].push_back(&slot);
    const bool with_volume = call_->version() >= kFirstVersionWithVolume;
    outstanding_.store(groups.size() + (with_volume ? 1 : 0), std::memory_order_relaxed);
    if (groups.empty() && !with_volume) return finish();
    if (with_volume)
      call_->server().controller->measure_volume(call_->home(), [self = shared_from_this()](Result<VolumeSpace> space) {
        if (space) self->volume_ = *space;
        self->one_is_done();
      });
    for (auto& [shard, slots] : groups)
      shard->run_on([self = shared_from_this(), slots = std::move(slots)] {
        for (auto* slot : slots) slot->size_bytes = slot->partition->size_bytes();
        self->one_is_done();
      });
  }

 private:
  static constexpr std::int16_t kFirstVersionWithVolume = 4;  // KIP-827

  void one_is_done() {
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      call_->home().run_on([self = shared_from_this()] { self->finish(); });
  }

  struct Slot {
    std::shared_ptr<Partition> partition;
    std::optional<std::uint64_t> size_bytes;  // nothing without a log
  };

  /// What is not there is left out, as in Kafka, and what is named twice is answered once.
  void collect() {
    const auto& image = *call_->home().image();
    const auto add = [&](const std::shared_ptr<Partition>& partition) {
      if (partition) slots_.emplace(partition->name(), Slot{partition, {}});
    };
    if (!request_.topics) {
      for (const auto& [name, topic] : image.topics())
        for (const auto& partition : topic->partitions) add(partition);
      return;
    }
    for (const auto& wanted : *request_.topics) {
      const auto* topic = image.find(wanted.name);
      if (!topic) continue;
      for (const auto index : wanted.partitions) add(topic->partition(index));
    }
  }

  static std::int64_t to_int64(std::uint64_t bytes) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::numeric_limits<std::int64_t>::max()));
  }

  void finish() {
    Response response;
    auto& dir = response.log_dirs.emplace_back();
    dir.path = call_->server().options.data;
    if (volume_) {
      dir.total_bytes = to_int64(volume_->total_bytes);
      dir.usable_bytes = to_int64(volume_->usable_bytes);
    }
    for (const auto& [name, slot] : slots_) {  // sorted by topic
      if (!slot.size_bytes) continue;
      if (dir.topics.empty() || dir.topics.back().name != name.topic) dir.topics.push_back({name.topic, {}});
      dir.topics.back().partitions.push_back(
          {.index = name.partition, .size_bytes = static_cast<std::int64_t>(*slot.size_bytes)});
    }
    call_->reply(response, ErrorCode::kNone);
  }

  const CallPtr call_;
  const Request request_;
  std::map<TopicPartition, Slot> slots_;  // each written by its partition's shard, then read by home
  std::optional<VolumeSpace> volume_;     // nothing: not asked for, or unknown
  std::atomic<std::size_t> outstanding_{0};
};

}  // namespace

void handle_describe_log_dirs(CallPtr call) {
  auto request = call->decode<DescribeLogDirsRequest>();
  if (!request) return;
  std::make_shared<LogDirsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
