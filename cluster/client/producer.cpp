#include "cluster/client/producer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "cluster/client/completions.h"
#include "common/base/check.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/messages/produce.h"
#include "common/record/partitioner.h"

namespace tributary {
namespace {

constexpr std::size_t kRequestBytesMax = 8u << 20;  // beyond the first batch
constexpr std::size_t kRecordBytesMax = 15u << 20;  // a request over nng has 16 MiB at most
constexpr Duration kMetadataPatience = std::chrono::seconds(1);  // bounds how long the destructor waits
constexpr Duration kIdle = std::chrono::seconds(1);

struct Sealed {
  Bytes bytes;
  std::int32_t record_count = 0;
  std::size_t plain_bytes = 0;
  Sequence base_sequence{0};
  MonoTime sealed_at;
  std::shared_ptr<const Bytes> stamped;  // with the producer id, once that is known
};

struct PartitionQueue {
  BatchBuilder builder;
  MonoTime first_append;
  std::deque<Sealed> sealed;  // the front one may be in flight
  bool in_flight = false;
  int failures = 0;
  MonoTime retry_at{};
  Sequence next_sequence{0};
};

struct TopicState {
  std::vector<PartitionIndex> partitions;
  MonoTime read_at;
  std::size_t sticky = 0;
};

struct Answered {
  std::uint64_t request_id = 0;
  Result<SharedBytes> frame;
};

struct Request {
  std::shared_ptr<BrokerConnection> broker;
  std::int16_t version = 0;
  std::vector<TopicPartition> partitions;
};

bool passes(Errc code) {
  return code == Errc::kUnavailable || code == Errc::kTimeout || code == Errc::kNoSpace ||
         code == Errc::kCorrupt;
}

}  // namespace

struct Producer::Impl {
  ClusterClient& client;
  const ProducerOptions options;
  // Answers, and nothing as a nudge that there is something to send.
  std::shared_ptr<Completions<std::optional<Answered>>> completions =
      std::make_shared<Completions<std::optional<Answered>>>();
  std::atomic<bool> nudged{false};

  // Producer's thread only.
  std::map<std::uint64_t, Request> requests;
  std::uint64_t next_request_id = 1;
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  int id_failures = 0;
  MonoTime id_retry_at{};
  MonoTime id_wanted_since{};

  std::mutex mutex;
  std::condition_variable changed;  // something was delivered, or the producer failed
  // under mutex
  std::map<TopicPartition, PartitionQueue> queues;
  std::map<std::string, TopicState> topics;
  Compressor compressor;
  std::size_t buffered_bytes = 0;
  int flushing = 0;
  bool stopping = false;
  std::optional<Error> failed;

  std::thread thread;

  Impl(ClusterClient& client_in, ProducerOptions options_in)
      : client(client_in), options(bounded(std::move(options_in))) {}
  static ProducerOptions bounded(ProducerOptions wanted) {
    wanted.batch_bytes = std::min(wanted.batch_bytes, kRecordBytesMax);
    return wanted;
  }

  void nudge() {
    if (!nudged.exchange(true)) completions->push(std::nullopt);
  }
  // Callers' threads.
  Result<TopicPartition> choose(const std::string& topic, const Record& record,
                                std::optional<PartitionIndex> partition);
  Result<> refresh_topic(const std::string& topic);
  /// Whether the producer's thread should look now.
  Result<bool> append(const TopicPartition& partition, const Record& record, std::size_t bytes);
  Result<> seal(const TopicPartition& partition, PartitionQueue& queue);

  // Producer's thread.
  void run();
  [[nodiscard]] bool work();
  Result<> ensure_producer_id();
  Result<> seal_due(MonoTime now);
  std::vector<TopicPartition> sendable(MonoTime now);
  MonoTime next_event();
  void send_ready();
  void send_to(const std::shared_ptr<BrokerConnection>& leader, const std::vector<TopicPartition>& partitions);
  void finish(Answered answered);
  void finish_partition(const TopicPartition& partition, const ProduceResponse::Partition& answer);
  void delivered(const TopicPartition& partition, Offset base_offset);
  void retry_or_fail(const TopicPartition& partition, Error error);
  void fail_with(Error error);
};

// ---- Callers' threads ------------------------------------------------------------------------------

Result<> Producer::Impl::refresh_topic(const std::string& topic) {
  const auto now = system_clock().mono_now();
  {
    const std::lock_guard lock(mutex);
    const auto known = topics.find(topic);
    if (known != topics.end() && now - known->second.read_at < client.options().metadata_age_max) return {};
  }
  ASSIGN_OR_RETURN(const auto info,
                   client.topic(topic, deadline_in(options.delivery_timeout),
                                options.auto_create_topics ? ClusterClient::AutoCreate::kAllow
                                                           : ClusterClient::AutoCreate::kNo));
  const std::lock_guard lock(mutex);
  auto& state = topics[topic];
  state.read_at = now;
  state.partitions.clear();
  for (const auto& partition : info.partitions) state.partitions.push_back(partition.index);
  return {};
}

/// Under mutex, with the topic known.
Result<TopicPartition> Producer::Impl::choose(const std::string& topic, const Record& record,
                                              std::optional<PartitionIndex> partition) {
  auto& state = topics.at(topic);
  if (partition) {
    if (std::ranges::find(state.partitions, *partition) == state.partitions.end())
      return fail(Errc::kNotFound, fmt::format("topic {} has no partition {}; it has {}", topic, *partition,
                                               state.partitions.size()));
    return TopicPartition{topic, *partition};
  }
  const auto count = state.partitions.size();
  const auto index = record.key
      ? static_cast<std::size_t>(partition_of_key(*record.key, static_cast<std::int32_t>(count)).value())
      : state.sticky % count;
  return TopicPartition{topic, state.partitions[index]};
}

/// Under mutex.
Result<> Producer::Impl::seal(const TopicPartition& partition, PartitionQueue& queue) {
  Sealed sealed;
  sealed.record_count = queue.builder.record_count();
  sealed.plain_bytes = queue.builder.uncompressed_bytes();
  sealed.base_sequence = queue.next_sequence;
  sealed.sealed_at = system_clock().mono_now();
  ASSIGN_OR_RETURN(sealed.bytes, queue.builder.finish({.compression = options.compression,
                                                       .level = options.compression_level},
                                                      compressor));
  queue.next_sequence = advanced(queue.next_sequence, sealed.record_count);
  queue.sealed.push_back(std::move(sealed));
  ++topics[partition.topic].sticky;
  return {};
}

/// Under mutex.
Result<bool> Producer::Impl::append(const TopicPartition& partition, const Record& record, std::size_t bytes) {
  auto& queue = queues[partition];
  const auto sealed_before = queue.sealed.size();
  if (!queue.builder.empty() && queue.builder.uncompressed_bytes() + bytes > options.batch_bytes)
    RETURN_IF_ERROR(seal(partition, queue));
  const bool first = queue.builder.empty();
  if (first) {
    queue.first_append = system_clock().mono_now();
    buffered_bytes += queue.builder.uncompressed_bytes();
  }
  const auto before = queue.builder.uncompressed_bytes();
  queue.builder.append(record.timestamp_ms.value_or(system_clock().wall_now_ms()), record.key, record.value,
                       record.headers);
  buffered_bytes += queue.builder.uncompressed_bytes() - before;
  if (queue.builder.uncompressed_bytes() >= options.batch_bytes) RETURN_IF_ERROR(seal(partition, queue));
  return first || queue.sealed.size() > sealed_before;
}

// ---- Producer's thread -----------------------------------------------------------------------------

void Producer::Impl::run() {
  while (work()) {
    auto item = completions->pop_until(next_event());
    for (; item; item = completions->pop_until(system_clock().mono_now())) {
      if (*item) finish(**std::move(item));
      else nudged = false;
    }
  }
  changed.notify_all();
}

/// False once there is nothing more to do, ever.
bool Producer::Impl::work() {
  {
    const std::lock_guard lock(mutex);
    if (stopping || failed) return false;
    if (auto sealed = seal_due(system_clock().mono_now()); !sealed) failed = sealed.error();
  }
  if (auto ready = ensure_producer_id(); !ready) fail_with(std::move(ready).error());
  else send_ready();
  return true;
}

/// Under mutex: closes batches that have lingered long enough and could leave now.
Result<> Producer::Impl::seal_due(MonoTime now) {
  for (auto& [partition, queue] : queues) {
    if (queue.builder.empty() || !queue.sealed.empty()) continue;
    if (flushing > 0 || now - queue.first_append >= options.linger) RETURN_IF_ERROR(seal(partition, queue));
  }
  return {};
}

Result<> Producer::Impl::ensure_producer_id() {
  if (!options.idempotent || producer_id != kNoProducerId) return {};
  const auto now = system_clock().mono_now();
  if (now < id_retry_at || sendable(now).empty()) return {};
  if (id_wanted_since == MonoTime{}) id_wanted_since = now;
  const auto ask = [&]() -> Result<> {
    const auto deadline = deadline_in(kMetadataPatience);
    ASSIGN_OR_RETURN(const auto broker, client.any_broker(deadline));
    ASSIGN_OR_RETURN(const auto answer, broker->call(InitProducerIdRequest{}, deadline));
    if (answer.response.error_code != ErrorCode::kNone)
      return fail_code("producer id", answer.response.error_code);
    producer_id = answer.response.producer_id;
    producer_epoch = answer.response.producer_epoch;
    return {};
  };
  auto asked = ask();
  if (asked) return {};
  if (!passes(asked.error().code)) return asked;
  if (now - id_wanted_since > options.delivery_timeout)
    return in_context("nothing was delivered", std::move(asked).error());
  id_retry_at = now + backoff(id_failures++);
  if (options.on_trouble) options.on_trouble(asked.error());
  return {};
}

std::vector<TopicPartition> Producer::Impl::sendable(MonoTime now) {
  const std::lock_guard lock(mutex);
  std::vector<TopicPartition> ready;
  for (const auto& [partition, queue] : queues)
    if (!queue.in_flight && !queue.sealed.empty() && queue.retry_at <= now) ready.push_back(partition);
  return ready;
}

MonoTime Producer::Impl::next_event() {
  const std::lock_guard lock(mutex);
  const auto now = system_clock().mono_now();
  auto next = now + kIdle;
  for (const auto& [partition, queue] : queues) {
    if (queue.in_flight) continue;
    // Several requests to one leader may fill one after the other, so a due time may have passed.
    if (!queue.sealed.empty()) next = std::min(next, std::max({queue.retry_at, id_retry_at, now}));
    else if (!queue.builder.empty())
      next = std::min(next, flushing > 0 ? now : queue.first_append + options.linger);
  }
  return next;
}

void Producer::Impl::send_ready() {
  if (options.idempotent && producer_id == kNoProducerId) return;
  std::map<BrokerConnection*, std::pair<std::shared_ptr<BrokerConnection>, std::vector<TopicPartition>>> groups;
  std::map<std::string, Error> leaderless;
  for (const auto& partition : sendable(system_clock().mono_now())) {
    if (const auto known = leaderless.find(partition.topic); known != leaderless.end()) {
      retry_or_fail(partition, known->second);
      continue;
    }
    auto leader = client.leader_of(partition, deadline_in(kMetadataPatience));
    if (!leader) {
      leaderless.emplace(partition.topic, leader.error());
      retry_or_fail(partition, std::move(leader).error());
      continue;
    }
    auto& group = groups[leader->get()];
    group.first = *leader;
    group.second.push_back(partition);
  }
  for (const auto& [key, group] : groups) send_to(group.first, group.second);
}

void Producer::Impl::send_to(const std::shared_ptr<BrokerConnection>& leader,
                             const std::vector<TopicPartition>& partitions) {
  const auto timeout = client.options().request_timeout;
  const auto version = leader->negotiate(ApiKey::kProduce, ProduceRequest::valid, deadline_in(kMetadataPatience));
  if (!version) {
    for (const auto& partition : partitions) retry_or_fail(partition, version.error());
    return;
  }
  ProduceRequest request;
  request.acks = ProduceRequest::kAcksAll;
  request.timeout_ms = static_cast<std::int32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
  Request sent{leader, *version, {}};
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(mutex);
    for (const auto& partition : partitions) {
      auto& queue = queues.at(partition);
      auto& batch = queue.sealed.front();
      if (!batch.stamped) {
        if (options.idempotent) patch_producer(batch.bytes, producer_id, producer_epoch, batch.base_sequence);
        batch.stamped = std::make_shared<const Bytes>(std::move(batch.bytes));
      }
      if (bytes > 0 && bytes + batch.stamped->size() > kRequestBytesMax) break;  // the next request's
      bytes += batch.stamped->size();
      if (request.topics.empty() || request.topics.back().name != partition.topic)
        request.topics.push_back({partition.topic, {}});
      request.topics.back().partitions.push_back(
          {partition.partition, Records(SharedBytes(batch.stamped, *batch.stamped))});
      queue.in_flight = true;
      sent.partitions.push_back(partition);
    }
  }
  const auto id = next_request_id++;
  requests.emplace(id, std::move(sent));
  const auto result = leader->send(request, *version, timeout, [id, queue = completions](Result<SharedBytes> frame) {
    queue->push(Answered{id, std::move(frame)});
  });
  if (result) return;
  requests.erase(id);
  fail_with(result.error());
}

void Producer::Impl::finish(Answered answered) {
  auto node = requests.extract(answered.request_id);
  CHECK(!node.empty(), "produce request {} is outstanding", answered.request_id);
  const auto& request = node.mapped();
  auto answer = [&]() -> Result<Answer<ProduceResponse>> {
    if (!answered.frame) return tl::unexpected<Error>(std::move(answered.frame).error());
    return request.broker->decode<ProduceResponse>(*std::move(answered.frame), request.version);
  }();
  for (const auto& partition : request.partitions) {
    if (!answer) {
      retry_or_fail(partition, answer.error());
      continue;
    }
    const ProduceResponse::Partition* found = nullptr;
    for (const auto& topic : answer->response.topics)
      for (const auto& part : topic.partitions)
        if (topic.name == partition.topic && part.index == partition.partition) found = &part;
    if (found != nullptr) finish_partition(partition, *found);
    else retry_or_fail(partition, {Errc::kCorrupt, fmt::format("{}: the answer does not speak of it", partition)});
  }
}

void Producer::Impl::finish_partition(const TopicPartition& partition, const ProduceResponse::Partition& answer) {
  if (answer.error_code == ErrorCode::kNone) return delivered(partition, answer.base_offset);
  if (answer.error_code == ErrorCode::kDuplicateSequenceNumber && options.idempotent)
    return delivered(partition, Offset(-1));
  auto error = fail_code(fmt::format("producing to {}", partition), answer.error_code, answer.error_message).value();
  // A topic may be unknown for a moment, as long as its metadata says otherwise.
  if (answer.error_code == ErrorCode::kUnknownTopicOrPartition) error.code = Errc::kUnavailable;
  retry_or_fail(partition, std::move(error));
}

void Producer::Impl::delivered(const TopicPartition& partition, Offset base_offset) {
  ProducerOptions::Delivered report{partition, base_offset, 0, 0};
  {
    const std::lock_guard lock(mutex);
    auto& queue = queues.at(partition);
    const auto& batch = queue.sealed.front();
    report.record_count = batch.record_count;
    report.batch_bytes = batch.stamped->size();
    buffered_bytes -= batch.plain_bytes;
    queue.sealed.pop_front();
    queue.in_flight = false;
    queue.failures = 0;
  }
  if (options.on_delivered) options.on_delivered(report);
  changed.notify_all();
}

void Producer::Impl::retry_or_fail(const TopicPartition& partition, Error error) {
  client.forget(partition.topic);
  {
    const std::lock_guard lock(mutex);
    auto& queue = queues.at(partition);
    queue.in_flight = false;
    const auto now = system_clock().mono_now();
    const auto age = now - queue.sealed.front().sealed_at;
    if (passes(error.code) && age <= options.delivery_timeout) {
      queue.retry_at = now + backoff(queue.failures++);
    } else {
      if (passes(error.code))
        error.message = fmt::format("{} was not delivered within {} s: {}", partition,
                                    std::chrono::duration_cast<std::chrono::seconds>(options.delivery_timeout).count(),
                                    error.message);
      failed = error;
    }
  }
  if (options.on_trouble) options.on_trouble(error);
}

void Producer::Impl::fail_with(Error error) {
  const std::lock_guard lock(mutex);
  if (!failed) failed = std::move(error);
}

// ---- Producer --------------------------------------------------------------------------------------

Producer::Producer(ClusterClient& client, ProducerOptions options)
    : impl_(std::make_unique<Impl>(client, std::move(options))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Producer::~Producer() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->completions->push(std::nullopt);
  impl_->thread.join();
}

Result<> Producer::send(const std::string& topic, const Record& record, std::optional<PartitionIndex> partition) {
  const auto bytes = BatchBuilder::record_bytes_max(record.key, record.value, record.headers);
  if (bytes > kRecordBytesMax)
    return fail(Errc::kTooLarge, fmt::format("a record of {} bytes, at most {} can be sent", bytes, kRecordBytesMax));
  RETURN_IF_ERROR(impl_->refresh_topic(topic));
  {
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait(lock, [&] {
      return impl_->failed || impl_->buffered_bytes == 0 ||
             impl_->buffered_bytes + bytes <= impl_->options.buffered_bytes_max;
    });
    if (impl_->failed) return tl::unexpected<Error>(*impl_->failed);
    ASSIGN_OR_RETURN(const auto chosen, impl_->choose(topic, record, partition));
    ASSIGN_OR_RETURN(const bool due, impl_->append(chosen, record, bytes));
    if (!due) return {};
  }
  impl_->nudge();
  return {};
}

Result<> Producer::flush(Duration timeout) {
  std::unique_lock lock(impl_->mutex);
  ++impl_->flushing;
  impl_->nudge();
  const bool done = impl_->changed.wait_for(lock, timeout, [&] {
    return impl_->failed || impl_->buffered_bytes == 0;
  });
  --impl_->flushing;
  if (impl_->failed) return tl::unexpected<Error>(*impl_->failed);
  if (!done)
    return fail(Errc::kTimeout, fmt::format("{} bytes were not delivered yet", impl_->buffered_bytes));
  return {};
}

}  // namespace tributary
