// Fetch: each partition is read on its shard; if there is too little, the operation registers with the
// partitions, keeps one timer, and occupies nothing else until data arrives or the time is up.

#include <atomic>
#include <unordered_set>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "cluster/server/partition.h"
#include "cluster/server/server_metrics.h"
#include "common/protocol/messages/fetch.h"

namespace tributary {
namespace {

constexpr std::int16_t kFirstFetchWithZstd = 10;
constexpr std::int16_t kFirstVersionWithTopicIds = 13;

/// Lives from the request to its answer. Reading is done on the partitions' shards, each of which writes its own
/// slots; all else happens on the home shard.
class FetchOperation final : public ReadWaiter, public std::enable_shared_from_this<FetchOperation> {
 public:
  FetchOperation(CallPtr call, FetchRequest request) : call_(std::move(call)), request_(std::move(request)) {
    const auto cap = call_->server().options.fetch_bytes_max;
    bytes_max_ = std::min(static_cast<std::uint32_t>(std::max(request_.bytes_max, 0)), cap);
  }

  void run() {
    collect_slots();
    const auto wait_max = std::min<Duration>(std::chrono::milliseconds(std::max(request_.wait_ms_max, 0)),
                                             call_->server().options.fetch_wait_max);
    deadline_ = call_->received() + wait_max;
    last_round_ = wait_max == Duration::zero() || request_.bytes_min <= 0;
    read_all();
  }

  void on_readable() override {
    if (woken_.exchange(true, std::memory_order_acq_rel)) return;
    // Posted even on home: the partition is in the middle of waking all who wait.
    call_->home().post([self = shared_from_this()] { self->read_again(); });
  }

 private:
  struct Slot {
    std::shared_ptr<Partition> partition;
    const FetchRequest::Partition* wanted;  // in request_
    ReadOutcome outcome;
  };
  struct Group {  // the slots of one shard
    Shard* shard;
    std::vector<std::uint32_t> slots;
  };
  enum class State { kReading, kWaiting, kDone };

  [[nodiscard]] bool by_id() const { return call_->version() >= kFirstVersionWithTopicIds; }

  void collect_slots() {
    const auto& image = *call_->home().image();
    std::size_t count = 0;
    for (const auto& topic : request_.topics) count += topic.partitions.size();
    slots_.reserve(count);
    std::unordered_set<const Partition*> named;
    for (const auto& topic : request_.topics) {
      const auto* found = by_id() ? image.find(topic.topic_id) : image.find(topic.name);
      const auto missing = by_id() && !found ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
      for (const auto& wanted : topic.partitions) {
        slots_.push_back({found ? found->partition(wanted.index) : nullptr, &wanted, {}});
        auto& slot = slots_.back();
        if (slot.partition && !named.insert(slot.partition.get()).second)
          slot.outcome.error = ErrorCode::kInvalidRequest;  // each is a read
        else if (slot.partition)
          group_of(slot.partition->shard()).slots.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
        else
          slot.outcome.error = missing;
      }
    }
  }

  Group& group_of(Shard& shard) {
    for (auto& group : groups_)
      if (group.shard == &shard) return group;
    return groups_.emplace_back(Group{&shard, {}});
  }

  void read_all() {
    state_ = State::kReading;
    woken_.store(false, std::memory_order_release);
    if (groups_.empty()) return evaluate();
    outstanding_.store(groups_.size(), std::memory_order_relaxed);
    for (const auto& group : groups_)
      group.shard->run_on([self = shared_from_this(), &group] { self->read_group(group); });
  }

  void read_group(const Group& group) {
    // Every partition may use the whole budget here; trim() deals it out in the request's order.
    for (const auto index : group.slots) {
      auto& slot = slots_[index];
      if (call_->version() < kFirstFetchWithZstd && slot.partition->compresses_with_zstd()) {
        slot.outcome = {.error = ErrorCode::kUnsupportedCompressionType};
        continue;
      }
      const auto wanted = static_cast<std::uint32_t>(std::max(slot.wanted->bytes_max, 0));
      slot.outcome = slot.partition->read(slot.wanted->fetch_offset, std::min(wanted, bytes_max_),
                                          slot.wanted->current_leader_epoch);
    }
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      call_->home().run_on([self = shared_from_this()] { self->evaluate(); });
  }

  void evaluate() {
    std::uint64_t readable = 0;
    bool failed = false;
    for (const auto& slot : slots_) {
      readable += slot.outcome.slice.length;
      failed |= slot.outcome.error != ErrorCode::kNone;
    }
    const auto enough = static_cast<std::uint64_t>(std::max(request_.bytes_min, 0));
    if (last_round_ || failed || readable >= std::min<std::uint64_t>(enough, bytes_max_)) return finish();
    wait();
  }

  void wait() {
    state_ = State::kWaiting;
    // A waiter of the round before may have called while this one was read; its call was ignored.
    woken_.store(false, std::memory_order_release);
    if (!timer_) {
      call_->server().metrics.fetch_waits.inc();
      const auto left = deadline_ - call_->server().clock.mono_now();
      timer_ = call_->home().after(std::max<Duration>(left, Duration::zero()), [self = shared_from_this()] {
        self->last_round_ = true;
        if (self->state_ == State::kWaiting) self->read_all();
      });
    }
    for (const auto& group : groups_)
      group.shard->run_on([self = shared_from_this(), &group] {
        for (const auto index : group.slots) {
          const auto& slot = self->slots_[index];
          slot.partition->wait_readable(self, slot.outcome.high_watermark);
        }
      });
  }

  void read_again() {
    if (state_ == State::kWaiting) read_all();
  }

  /// Keeps the answer within bytes_max_, in the request's order; the first batches of all are given
  /// even if they alone are larger (KIP-74).
  void trim() {
    std::uint64_t given = 0;
    for (auto& slot : slots_) {
      auto& slice = slot.outcome.slice;
      const auto wanted = static_cast<std::uint32_t>(std::max(slot.wanted->bytes_max, 0));
      if (given > 0 && (given + slice.length > bytes_max_ || slice.length > wanted)) slice = {};
      given += slice.length;
    }
    call_->server().metrics.fetched_bytes.inc(given);
  }

  void finish() {
    state_ = State::kDone;
    if (timer_) {
      timer_.reset();
      for (const auto& group : groups_)
        group.shard->run_on([self = shared_from_this(), &group] {
          for (const auto index : group.slots) self->slots_[index].partition->stop_waiting(self.get());
        });
    }
    trim();
    FetchResponse response;
    ErrorCode first_error = ErrorCode::kNone;
    std::size_t next = 0;
    response.topics.reserve(request_.topics.size());
    for (const auto& topic : request_.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      answered.topic_id = topic.topic_id;
      answered.partitions.reserve(topic.partitions.size());
      for (const auto& wanted : topic.partitions) {
        const auto& outcome = slots_[next++].outcome;
        if (first_error == ErrorCode::kNone) first_error = outcome.error;
        answered.partitions.push_back(answer(wanted, outcome));
      }
    }
    call_->reply(response, first_error);
  }

  [[nodiscard]] FetchResponse::Partition answer(const FetchRequest::Partition& wanted, const ReadOutcome& outcome) const {
    FetchResponse::Partition p;
    p.index = wanted.index;
    p.error_code = outcome.error;
    p.high_watermark = outcome.high_watermark;
    p.last_stable_offset = outcome.high_watermark;
    p.log_start_offset = outcome.log_start_offset;
    if (request_.isolation_level == IsolationLevel::kReadUncommitted) p.aborted_transactions.reset();
    const auto& slice = outcome.slice;
    p.records = slice.length > 0 ? Records(FileSlice{slice.file, slice.position, slice.length}) : Records(ByteView{});
    return p;
  }

  const CallPtr call_;
  const FetchRequest request_;
  std::uint32_t bytes_max_ = 0;
  MonoTime deadline_;

  // Home shard only, but for the slots' outcomes while kReading.
  State state_ = State::kReading;
  bool last_round_ = false;
  std::vector<Slot> slots_;
  std::vector<Group> groups_;
  std::unique_ptr<ShardTimer> timer_;

  std::atomic<std::size_t> outstanding_{0};
  std::atomic<bool> woken_{false};
};

/// Sessions (KIP-227) are not kept: every fetch names all its partitions.
ErrorCode session_error(const FetchRequest& request) {
  if (request.session_id != 0) return ErrorCode::kFetchSessionIdNotFound;
  return request.session_epoch > 0 ? ErrorCode::kInvalidFetchSessionEpoch : ErrorCode::kNone;
}

}  // namespace

void handle_fetch(CallPtr call) {
  auto request = call->decode<FetchRequest>();
  if (!request) return;
  if (const auto error = session_error(*request); error != ErrorCode::kNone) {
    FetchResponse response;
    response.error_code = error;
    return call->reply(response, error);
  }
  std::make_shared<FetchOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
