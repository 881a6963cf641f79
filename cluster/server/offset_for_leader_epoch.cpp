// OffsetForLeaderEpoch: each partition is asked on its shard.

#include <atomic>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "cluster/server/partition.h"
#include "common/protocol/messages/offset_for_leader_epoch.h"

namespace tributary {
namespace {

class EpochEndOperation final : public std::enable_shared_from_this<EpochEndOperation> {
  using Request = OffsetForLeaderEpochRequest;
  using Response = OffsetForLeaderEpochResponse;

 public:
  EpochEndOperation(CallPtr call, Request request) : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    const auto& image = *call_->home().image();
    for (const auto& topic : request_.topics) {
      const auto* found = image.find(topic.name);
      for (const auto& wanted : topic.partitions)
        slots_.push_back({found ? found->partition(wanted.index) : nullptr, &wanted, {}});
    }
    for (auto& slot : slots_)
      if (slot.partition) group_of(slot.partition->shard()).slots.push_back(&slot);
      else slot.outcome.error = ErrorCode::kUnknownTopicOrPartition;
    if (groups_.empty()) return finish();
    outstanding_.store(groups_.size(), std::memory_order_relaxed);
    for (const auto& group : groups_)
      group.shard->run_on([self = shared_from_this(), &group] {
        for (auto* slot : group.slots)
          slot->outcome = slot->partition->epoch_end(slot->wanted->leader_epoch, slot->wanted->current_leader_epoch);
        if (self->outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
          self->call_->home().run_on([self] { self->finish(); });
      });
  }

 private:
  struct Slot {
    std::shared_ptr<Partition> partition;
    const Request::Partition* wanted;  // in request_
    EpochEndOutcome outcome;
  };
  struct Group {  // the slots of one shard
    Shard* shard;
    std::vector<Slot*> slots;
  };

  Group& group_of(Shard& shard) {
    for (auto& group : groups_)
      if (group.shard == &shard) return group;
    return groups_.emplace_back(Group{&shard, {}});
  }

  void finish() {
    Response response;
    ErrorCode first_error = ErrorCode::kNone;
    std::size_t next = 0;
    for (const auto& topic : request_.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& wanted : topic.partitions) {
        const auto& outcome = slots_[next++].outcome;
        if (first_error == ErrorCode::kNone) first_error = outcome.error;
        answered.partitions.push_back({outcome.error, wanted.index, outcome.epoch, outcome.end_offset});
      }
    }
    call_->reply(response, first_error);
  }

  const CallPtr call_;
  const Request request_;
  std::vector<Slot> slots_;  // each written by its partition's shard, then read by home
  std::vector<Group> groups_;
  std::atomic<std::size_t> outstanding_{0};
};

}  // namespace

void handle_offset_for_leader_epoch(CallPtr call) {
  auto request = call->decode<OffsetForLeaderEpochRequest>();
  if (!request) return;
  std::make_shared<EpochEndOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
