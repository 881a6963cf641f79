// DeleteRecords: each partition moves its log start on its shard, and the answer goes out when all have.

#include <atomic>
#include <unordered_set>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "cluster/server/partition.h"
#include "common/protocol/messages/delete_records.h"

namespace tributary {
namespace {

constexpr auto kDeleteTimeoutMax = std::chrono::minutes(10);

class DeleteRecordsOperation final : public std::enable_shared_from_this<DeleteRecordsOperation> {
 public:
  DeleteRecordsOperation(CallPtr call, DeleteRecordsRequest request)
      : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    const auto& image = *call_->home().image();
    std::unordered_set<const Partition*> named;
    for (const auto& topic : request_.topics) {
      const auto* found = image.find(topic.name);
      for (const auto& wanted : topic.partitions)
        slots_.push_back({found ? found->partition(wanted.index) : nullptr, wanted.offset, {}});
    }
    const auto timeout = std::clamp<Duration>(std::chrono::milliseconds(request_.timeout_ms),
                                              std::chrono::milliseconds(0), kDeleteTimeoutMax);
    outstanding_.store(slots_.size() + 1, std::memory_order_relaxed);
    for (auto& slot : slots_) {
      if (!slot.partition) {
        slot.outcome.error = ErrorCode::kUnknownTopicOrPartition;
      } else if (is_internal_topic(slot.partition->name().topic)) {
        slot.outcome.error = ErrorCode::kInvalidTopicException;
      } else if (!named.insert(slot.partition.get()).second) {
        slot.outcome.error = ErrorCode::kInvalidRequest;  // which of the two offsets is meant?
      } else {
        slot.partition->shard().run_on([self = shared_from_this(), &slot, timeout] {
          slot.partition->delete_records(slot.offset, timeout, [self, &slot](DeleteOutcome outcome) {
            slot.outcome = outcome;
            self->answered();
          });
        });
        continue;
      }
      answered();
    }
    answered();
  }

 private:
  struct Slot {
    std::shared_ptr<Partition> partition;
    Offset offset;
    DeleteOutcome outcome;
  };

  void answered() {
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      call_->home().run_on([self = shared_from_this()] { self->finish(); });
  }

  void finish() {
    DeleteRecordsResponse response;
    ErrorCode first_error = ErrorCode::kNone;
    std::size_t next = 0;
    for (const auto& topic : request_.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      for (const auto& wanted : topic.partitions) {
        const auto& outcome = slots_[next++].outcome;
        if (first_error == ErrorCode::kNone) first_error = outcome.error;
        out.partitions.push_back({wanted.index, outcome.low_watermark, outcome.error});
      }
    }
    call_->reply(response, first_error);
  }

  const CallPtr call_;
  const DeleteRecordsRequest request_;
  std::vector<Slot> slots_;  // each written by its partition's shard, then read by home
  std::atomic<std::size_t> outstanding_{0};
};

}  // namespace

void handle_delete_records(CallPtr call) {
  auto request = call->decode<DeleteRecordsRequest>();
  if (!request) return;
  std::make_shared<DeleteRecordsOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
