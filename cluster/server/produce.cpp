// Produce: every partition's batches go to its shard, in the order in which the connection sent them, and the
// answer goes out when the last one has its outcome.

#include <algorithm>
#include <atomic>
#include <iterator>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "cluster/server/internal_topics.h"
#include "cluster/server/partition.h"
#include "cluster/server/server_metrics.h"
#include "common/protocol/messages/produce.h"
#include "common/record/record_batch.h"

namespace tributary {
namespace {

constexpr auto kProduceTimeoutMax = std::chrono::minutes(10);
constexpr std::int16_t kFirstVersionWithZstd = 7;
/// Of a response: a small compressed batch can have a hundred, and a request thousands of batches.
constexpr std::int64_t kRecordErrorsMax = 1'000;

struct ProduceRefusal {
  ErrorCode error = ErrorCode::kNone;
  std::string message;
};

class ProduceOperation final : public AppendObserver, public std::enable_shared_from_this<ProduceOperation> {
 public:
  ProduceOperation(CallPtr call, ProduceRequest request) : call_(std::move(call)), request_(std::move(request)) {}

  void run() {
    collect_slots();
    if (slots_.empty()) return finish();
    // Answers may come from other shards before all appends have been handed out.
    outstanding_.store(slots_.size(), std::memory_order_relaxed);
    const auto refusal_of_all = refuse_all();
    auto& home = call_->home();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const auto slot = static_cast<std::uint32_t>(i);
      auto refusal = refusal_of_all;
      if (refusal.error == ErrorCode::kNone) refusal = refuse(slots_[i]);
      if (refusal.error != ErrorCode::kNone) {
        on_appended(slot, {.error = refusal.error, .message = std::move(refusal.message)});
      } else if (&slots_[i].partition->shard() == &home) {
        append(slot);
      } else {
        // One connection's posts to one shard keep their order.
        slots_[i].partition->shard().post([self = shared_from_this(), slot] { self->append(slot); });
      }
    }
  }

  void on_appended(std::uint32_t slot, AppendOutcome outcome) override {
    // Here, so that no more of them are held until all slots are done.
    if (const auto errors = std::ssize(outcome.refused); errors > 0) {
      const auto room = std::max<std::int64_t>(record_errors_left_.fetch_sub(errors, std::memory_order_relaxed), 0);
      if (room < errors) outcome.refused.resize(static_cast<std::size_t>(room));
    }
    slots_[slot].outcome = std::move(outcome);
    // The last one sees all slots, whichever shard wrote them.
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      call_->home().run_on([self = shared_from_this()] { self->finish(); });
  }

 private:
  struct Slot {
    std::shared_ptr<Partition> partition;
    ByteView records;  // into the request's frame, which the call keeps
    AppendOutcome outcome;
  };

  void collect_slots() {
    const auto& image = *call_->home().image();
    std::size_t count = 0;
    for (const auto& topic : request_.topics) count += topic.partitions.size();
    slots_.reserve(count);
    for (const auto& topic : request_.topics) {
      const auto* found = image.find(topic.name);
      for (const auto& partition : topic.partitions)
        slots_.push_back({found ? found->partition(partition.index) : nullptr, partition.records.view(), {}});
    }
  }

  [[nodiscard]] ProduceRefusal refuse_all() const {
    if (request_.acks < ProduceRequest::kAcksAll || request_.acks > ProduceRequest::kAcksLeader)
      return {ErrorCode::kInvalidRequiredAcks, fmt::format("acks is {}, not -1 (all), 0 or 1", request_.acks)};
    // An idempotent producer sends no transactional id.
    if (request_.transactional_id) return {ErrorCode::kInvalidTxnState, "transactions are not supported"};
    return {};
  }

  [[nodiscard]] ProduceRefusal refuse(const Slot& slot) const {
    if (!slot.partition) return {ErrorCode::kUnknownTopicOrPartition, {}};
    const auto& topic = slot.partition->name().topic;
    if (is_internal_topic(topic))
      return {ErrorCode::kInvalidTopicException, fmt::format("{} is the broker's to write to", topic)};
    if (slot.records.empty()) return {ErrorCode::kInvalidRecord, "there is no record batch"};
    const auto header = parse_batch_header(slot.records);
    if (!header) return {};  // the log says what is wrong
    // Kafka's rule from version 3 on: one batch, so that an answer is about that one.
    if (header->total_bytes() < slot.records.size())
      return {ErrorCode::kInvalidRecord,
              fmt::format("{} bytes follow the record batch of {}; a request has one for a partition",
                          slot.records.size() - header->total_bytes(), header->total_bytes())};
    // KIP-110: who speaks an older version could not read it back.
    if (header->compression() == Compression::kZstd && call_->version() < kFirstVersionWithZstd)
      return {ErrorCode::kUnsupportedCompressionType,
              fmt::format("zstd needs Produce version {}, the request has {}", kFirstVersionWithZstd, call_->version())};
    return {};
  }

  void append(std::uint32_t slot) {
    const auto timeout = std::clamp<Duration>(std::chrono::milliseconds(request_.timeout_ms),
                                              std::chrono::milliseconds(0), kProduceTimeoutMax);
    slots_[slot].partition->append(slots_[slot].records, request_.acks == ProduceRequest::kAcksAll, timeout,
                                   shared_from_this(), slot);
  }

  void finish() {
    ProduceResponse response;
    ErrorCode first_error = ErrorCode::kNone;
    std::size_t next = 0;
    response.topics.reserve(request_.topics.size());
    for (auto& topic : request_.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = std::move(topic.name);
      answered.partitions.reserve(topic.partitions.size());
      for (const auto& partition : topic.partitions) {
        auto& outcome = slots_[next++].outcome;
        if (first_error == ErrorCode::kNone) first_error = outcome.error;
        auto& p = answered.partitions.emplace_back();
        p.index = partition.index;
        p.error_code = outcome.error;
        p.base_offset = outcome.base_offset;
        p.log_start_offset = outcome.log_start_offset;
        p.log_append_time_ms = outcome.log_append_time_ms;
        for (auto& record : outcome.refused) p.record_errors.push_back({record.number, std::move(record.why)});
        if (!outcome.message.empty()) p.error_message = std::move(outcome.message);
      }
    }
    auto& server = call_->server();
    server.metrics.produce_seconds.observe(
        std::chrono::duration<double>(server.clock.mono_now() - call_->received()).count());
    if (request_.acks != ProduceRequest::kAcksNone) return call_->reply(response, first_error);
    // Nobody reads an answer: a closed connection is the only way to say that something went wrong.
    if (first_error != ErrorCode::kNone) return call_->drop("acks=0, and an append failed", first_error);
    call_->no_reply(first_error);
  }

  const CallPtr call_;
  ProduceRequest request_;
  std::vector<Slot> slots_;  // each written by its partition's shard, then read by home
  std::atomic<std::size_t> outstanding_{0};
  std::atomic<std::int64_t> record_errors_left_{kRecordErrorsMax};  // below 0 when more were found
};

}  // namespace

void handle_produce(CallPtr call) {
  auto request = call->decode<ProduceRequest>();
  if (!request) return;
  std::make_shared<ProduceOperation>(std::move(call), *std::move(request))->run();
}

}  // namespace tributary
