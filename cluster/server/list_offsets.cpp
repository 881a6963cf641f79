// ListOffsets: each partition is asked on its shard.

#include <atomic>
#include <unordered_set>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "cluster/server/partition.h"
#include "common/protocol/messages/list_offsets.h"

namespace tributary {
namespace {

constexpr std::int16_t kFirstVersionWithMaxTimestamp = 7;

class ListOffsetsOperation final : public std::enable_shared_from_this<ListOffsetsOperation> {
 public:
  ListOffsetsOperation(CallPtr call, ListOffsetsRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    const auto& image = *call_->home().image();
    std::unordered_set<const Partition*> named;
    for (const auto& topic : request_.topics) {
      const auto* found = image.find(topic.name);
      for (const auto& wanted : topic.partitions)
        slots_.push_back({found ? found->partition(wanted.index) : nullptr, &wanted, {}});
    }
    // Once each, as Kafka: a search may have to read and decompress a lot.
    for (auto& slot : slots_)
      if (slot.partition && !named.insert(slot.partition.get()).second) slot.outcome.error = ErrorCode::kInvalidRequest;
    outstanding_.store(slots_.size() + 1, std::memory_order_relaxed);
    for (auto& slot : slots_) {
      if (slot.outcome.error != ErrorCode::kNone) {
        answered();
        continue;
      }
      if (!slot.partition || needs_newer_version(*slot.wanted)) {
        slot.outcome.error =
            slot.partition ? ErrorCode::kUnsupportedVersion : ErrorCode::kUnknownTopicOrPartition;
        answered();
        continue;
      }
      slot.partition->shard().run_on([self = shared_from_this(), &slot] {
        slot.outcome = slot.partition->offset_for(slot.wanted->timestamp_ms, slot.wanted->current_leader_epoch);
        self->answered();
      });
    }
    answered();
  }

 private:
  struct Slot {
    std::shared_ptr<Partition> partition;
    const ListOffsetsRequest::Partition* wanted;
    OffsetOutcome outcome;
  };

  [[nodiscard]] bool needs_newer_version(const ListOffsetsRequest::Partition& wanted) const {
    return wanted.timestamp_ms == ListOffsetsRequest::kMaxTimestamp &&
           call_->version() < kFirstVersionWithMaxTimestamp;
  }

  void answered() {
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      call_->home().run_on([self = shared_from_this()] { self->finish(); });
  }

  void finish() {
    ListOffsetsResponse response;
    ErrorCode first_error = ErrorCode::kNone;
    std::size_t next = 0;
    for (const auto& topic : request_.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      for (const auto& wanted : topic.partitions) {
        const auto& outcome = slots_[next++].outcome;
        if (first_error == ErrorCode::kNone) first_error = outcome.error;
        const bool none = outcome.error != ErrorCode::kNone || outcome.found.offset.value() < 0;
        out.partitions.push_back({wanted.index, outcome.error, outcome.found.timestamp_ms, outcome.found.offset,
                                  none ? kNoLeaderEpoch : kOnlyLeaderEpoch});
      }
    }
    call_->reply(response, first_error);
  }

  const CallPtr call_;
  const ListOffsetsRequest request_;
  std::vector<Slot> slots_;  // each written by its partition's shard, then read by home
  std::atomic<std::size_t> outstanding_{0};
};

}  // namespace

void handle_list_offsets(CallPtr call) {
  auto request = call->decode<ListOffsetsRequest>();
  if (!request) return;
  std::make_shared<ListOffsetsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
