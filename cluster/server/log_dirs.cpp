// DescribeLogDirs: each partition is asked for its size on its shard.

#include <atomic>
#include <map>
#include <set>

#include "cluster/server/cluster_image.h"
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
    if (groups.empty()) return finish();
    outstanding_.store(groups.size(), std::memory_order_relaxed);
    for (auto& [shard, slots] : groups)
      shard->run_on([self = shared_from_this(), slots = std::move(slots)] {
        for (auto* slot : slots) slot->size_bytes = slot->partition->size_bytes();
        if (self->outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
          self->call_->home().run_on([self] { self->finish(); });
      });
  }

 private:
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

  void finish() {
    Response response;
    auto& dir = response.log_dirs.emplace_back();
    dir.path = call_->server().options.data;
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
  std::atomic<std::size_t> outstanding_{0};
};

}  // namespace

void handle_describe_log_dirs(CallPtr call) {
  auto request = call->decode<DescribeLogDirsRequest>();
  if (!request) return;
  std::make_shared<LogDirsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
