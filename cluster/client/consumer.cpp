#include "cluster/client/consumer.h"

#include <algorithm>
#include <map>
#include <thread>

#include "cluster/client/completions.h"
#include "common/base/check.h"
#include "common/protocol/messages/fetch.h"

namespace tributary {
namespace {

constexpr Versions kFetchVersions{4, 12};  // 13 names topics by id

struct Assigned {
  Offset position{0};
  std::optional<Offset> high_watermark;
  MonoTime last_answer;  // of its leader without an error; or when it was assigned
  MonoTime retry_at{};
  int failures = 0;
  const BrokerConnection* in_flight_on = nullptr;
  std::uint64_t assignment = 0;  // tells an assignment from a later one of the same partition
};

struct Fetched {
  std::uint64_t fetch_id = 0;
  Result<SharedBytes> frame;
};

/// One request on its way to one broker; at most one per broker.
struct Fetch {
  std::shared_ptr<BrokerConnection> broker;
  std::int16_t version = 0;
  std::vector<std::pair<TopicPartition, std::uint64_t>> partitions;  // and their assignment
};

}  // namespace

struct Consumer::Impl {
  ClusterClient& client;
  const ConsumerOptions options;
  std::map<TopicPartition, Assigned> assigned;
  std::map<std::uint64_t, Fetch> fetches;
  std::uint64_t next_id = 1;
  TopicPartition last_served;  // partitions behind it come first in the next request
  std::shared_ptr<Completions<Fetched>> completions = std::make_shared<Completions<Fetched>>();

  Impl(ClusterClient& client_in, ConsumerOptions options_in)
      : client(client_in), options(std::move(options_in)) {}

  std::optional<Error> held_back;  // it came together with batches, which are handed over first

  Result<> start_fetches(Duration patience);
  std::vector<TopicPartition> ready_partitions() const;
  Result<> start_fetch(const std::shared_ptr<BrokerConnection>& leader,
                       const std::vector<TopicPartition>& partitions);
  Result<> finish(Fetched fetched, std::vector<ConsumedBatch>& out);
  Result<> take_partition(const TopicPartition& partition, const FetchResponse::Partition& answer,
                          const SharedBytes& frame, std::vector<ConsumedBatch>& out);
  Result<> take_batches(const TopicPartition& partition, Assigned& state, ByteView records,
                        const SharedBytes& frame, std::vector<ConsumedBatch>& out);
  Result<> handle_out_of_range(const TopicPartition& partition, Assigned& state);
  Result<> handle_failure(const TopicPartition& partition, Assigned& state, Error error);
  MonoTime next_retry(MonoTime otherwise) const;
};

// ---- Asking ----------------------------------------------------------------------------------------

std::vector<TopicPartition> Consumer::Impl::ready_partitions() const {
  // KIP-74: the first partitions of a request fill the answer, so their order rotates.
  std::vector<TopicPartition> ready;
  const auto now = system_clock().mono_now();
  auto from = assigned.upper_bound(last_served);
  for (std::size_t i = 0; i < assigned.size(); ++i, ++from) {
    if (from == assigned.end()) from = assigned.begin();
    if (from->second.in_flight_on == nullptr && from->second.retry_at <= now) ready.push_back(from->first);
  }
  return ready;
}

Result<> Consumer::Impl::start_fetches(Duration patience) {
  std::map<BrokerConnection*, std::pair<std::shared_ptr<BrokerConnection>, std::vector<TopicPartition>>> groups;
  std::map<std::string, Error> leaderless;  // one vain search per topic is enough
  for (const auto& partition : ready_partitions()) {
    if (const auto known = leaderless.find(partition.topic); known != leaderless.end()) {
      RETURN_IF_ERROR(handle_failure(partition, assigned.at(partition), known->second));
      continue;
    }
    auto leader = client.leader_of(partition, deadline_in(patience));
    if (!leader) {
      leaderless.emplace(partition.topic, leader.error());
      RETURN_IF_ERROR(handle_failure(partition, assigned.at(partition), std::move(leader).error()));
      continue;
    }
    auto& group = groups[leader->get()];
    group.first = *leader;
    group.second.push_back(partition);
  }
  for (const auto& [key, group] : groups) {
    const bool busy = std::ranges::any_of(fetches, [&](const auto& fetch) {
      return fetch.second.broker == group.first;
    });
    if (!busy) RETURN_IF_ERROR(start_fetch(group.first, group.second));
  }
  return {};
}

Result<> Consumer::Impl::start_fetch(const std::shared_ptr<BrokerConnection>& leader,
                                     const std::vector<TopicPartition>& partitions) {
  const auto timeout = client.options().request_timeout;
  const auto version = leader->negotiate(ApiKey::kFetch, kFetchVersions, deadline_in(timeout));
  if (!version) {
    for (const auto& partition : partitions)
      RETURN_IF_ERROR(handle_failure(partition, assigned.at(partition), version.error()));
    return {};
  }
  FetchRequest request;
  request.wait_ms_max = static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.fetch_wait).count());
  request.bytes_min = 1;
  request.bytes_max = static_cast<std::int32_t>(std::min<std::size_t>(options.fetch_bytes_max, INT32_MAX));
  Fetch fetch{leader, *version, {}};
  for (const auto& partition : partitions) {
    auto& state = assigned.at(partition);
    if (request.topics.empty() || request.topics.back().name != partition.topic)
      request.topics.push_back({.name = partition.topic});
    request.topics.back().partitions.push_back(
        {.index = partition.partition,
         .fetch_offset = state.position,
         .bytes_max = static_cast<std::int32_t>(std::min<std::size_t>(options.partition_bytes_max, INT32_MAX))});
    state.in_flight_on = leader.get();
    fetch.partitions.emplace_back(partition, state.assignment);
  }
  const auto id = next_id++;
  const auto sent = leader->send(request, *version, timeout + options.fetch_wait,
                                 [id, queue = completions](Result<SharedBytes> frame) {
                                   queue->push({id, std::move(frame)});
                                 });
  if (!sent) {
    for (const auto& partition : partitions) assigned.at(partition).in_flight_on = nullptr;
    return sent;
  }
  fetches.emplace(id, std::move(fetch));
  return {};
}

// ---- Answers ---------------------------------------------------------------------------------------

Result<> Consumer::Impl::finish(Fetched fetched, std::vector<ConsumedBatch>& out) {
  auto node = fetches.extract(fetched.fetch_id);
  CHECK(!node.empty(), "fetch {} is outstanding", fetched.fetch_id);
  const auto& fetch = node.mapped();
  // Partitions that were unassigned meanwhile, or assigned anew, have no interest in this answer.
  std::vector<TopicPartition> concerned;
  for (const auto& [partition, assignment] : fetch.partitions) {
    const auto found = assigned.find(partition);
    if (found == assigned.end() || found->second.assignment != assignment) continue;
    found->second.in_flight_on = nullptr;
    concerned.push_back(partition);
  }
  std::optional<Error> error;
  auto answer = [&]() -> Result<Answer<FetchResponse>> {
    if (!fetched.frame) return tl::unexpected<Error>(std::move(fetched.frame).error());
    return fetch.broker->decode<FetchResponse>(*std::move(fetched.frame), fetch.version);
  }();
  if (!answer) error = std::move(answer).error();
  else if (answer->response.error_code != ErrorCode::kNone)
    error = fail_code(fetch.broker->endpoint().url() + ": Fetch", answer->response.error_code).value();
  if (error) {
    for (const auto& partition : concerned)
      RETURN_IF_ERROR(handle_failure(partition, assigned.at(partition), *error));
    return {};
  }
  for (const auto& topic : answer->response.topics) {
    for (const auto& part : topic.partitions) {
      const TopicPartition partition{topic.name, part.index};
      if (std::ranges::find(concerned, partition) == concerned.end()) continue;
      RETURN_IF_ERROR(take_partition(partition, part, answer->frame, out));
    }
  }
  return {};
}

Result<> Consumer::Impl::take_partition(const TopicPartition& partition,
                                        const FetchResponse::Partition& answer, const SharedBytes& frame,
                                        std::vector<ConsumedBatch>& out) {
  auto& state = assigned.at(partition);
  if (answer.error_code == ErrorCode::kOffsetOutOfRange) return handle_out_of_range(partition, state);
  if (answer.error_code != ErrorCode::kNone)
    return handle_failure(partition, state,
                          fail_code(fmt::format("fetching {}", partition), answer.error_code).value());
  state.failures = 0;
  state.last_answer = system_clock().mono_now();
  state.high_watermark = answer.high_watermark;
  return take_batches(partition, state, answer.records.view(), frame, out);
}

Result<> Consumer::Impl::take_batches(const TopicPartition& partition, Assigned& state, ByteView records,
                                      const SharedBytes& frame, std::vector<ConsumedBatch>& out) {
  const auto named = [&](Error error) {
    error.code = Errc::kCorrupt;
    return in_context(fmt::format("{} at offset {}", partition, state.position), std::move(error));
  };
  BatchIterator batches(records, PartialTail::kIgnore);
  for (;;) {
    auto batch = batches.next();
    if (!batch) return named(std::move(batch).error());
    if (!*batch) return {};
    const auto& [header, bytes] = **batch;
    if (options.check_crc) {
      if (auto valid = validate_stored_batch(bytes); !valid) return named(std::move(valid).error());
    }
    // The first batch may begin before the position, and a whole one may lie before it.
    if (header.next_offset() <= state.position) continue;
    out.push_back({partition, header, frame.sub(bytes), state.position});
    state.position = header.next_offset();
    last_served = partition;
  }
}

Result<> Consumer::Impl::handle_out_of_range(const TopicPartition& partition, Assigned& state) {
  const auto deadline = deadline_in(client.options().request_timeout);
  const auto ends = resolve_offsets(
      client, {{partition, StartAt::earliest()}, {partition, StartAt::latest()}}, deadline);
  if (!ends) return handle_failure(partition, state, ends.error());
  const auto earliest = ends->front(), latest = ends->back();
  // A leader that has just changed may not know of the newest records yet.
  if (earliest <= state.position && state.position <= latest)
    return handle_failure(partition, state, {Errc::kUnavailable, fmt::format("{}: offset {} is not there yet", partition, state.position)});
  if (options.on_out_of_range == OnOutOfRange::kFail)
    return fail(Errc::kOutOfRange, fmt::format("{}: offset {} is outside of [{}, {}]", partition,
                                               state.position, earliest, latest));
  const auto next = options.on_out_of_range == OnOutOfRange::kEarliest ? earliest : latest;
  if (options.on_trouble)
    options.on_trouble({Errc::kOutOfRange,
                        fmt::format("{}: offset {} is outside of [{}, {}]; going on at {}", partition,
                                    state.position, earliest, latest, next)});
  state.position = next;
  return {};
}

/// Retried later, unless it is of the kind that does not pass, or has lasted for too long.
Result<> Consumer::Impl::handle_failure(const TopicPartition& partition, Assigned& state, Error error) {
  client.forget(partition.topic);
  const auto now = system_clock().mono_now();
  state.retry_at = now + backoff(state.failures);
  ++state.failures;
  const bool passes = error.code == Errc::kUnavailable || error.code == Errc::kTimeout ||
                      error.code == Errc::kNoSpace || error.code == Errc::kCorrupt;
  // A topic is unknown for a moment while leadership moves; leader_of() asks again at once.
  if (!passes && !(error.code == Errc::kNotFound && state.failures == 1))
    return tl::unexpected<Error>(std::move(error));
  const auto lasted = now - state.last_answer;
  if (options.unavailable_max > Duration::zero() && lasted > options.unavailable_max)
    return fail(error.code == Errc::kCorrupt ? Errc::kCorrupt : Errc::kUnavailable,
                fmt::format("{} could not be fetched for {} s: {}", partition,
                            std::chrono::duration_cast<std::chrono::seconds>(lasted).count(), error.message));
  if (options.on_trouble) options.on_trouble(error);
  return {};
}

/// Partitions whose retry is due already wait for their broker's outstanding fetch, not for a time.
MonoTime Consumer::Impl::next_retry(MonoTime otherwise) const {
  const auto now = system_clock().mono_now();
  for (const auto& [partition, state] : assigned)
    if (state.in_flight_on == nullptr && state.retry_at > now) otherwise = std::min(otherwise, state.retry_at);
  return otherwise;
}

// ---- Consumer --------------------------------------------------------------------------------------

Consumer::Consumer(ClusterClient& client, ConsumerOptions options)
    : impl_(std::make_unique<Impl>(client, std::move(options))) {}
Consumer::~Consumer() = default;

void Consumer::assign(const TopicPartition& partition, Offset position) {
  CHECK(!impl_->assigned.contains(partition), "{} is not assigned yet", partition);
  auto& state = impl_->assigned[partition];
  state.position = position;
  state.last_answer = system_clock().mono_now();
  state.assignment = impl_->next_id++;
}

void Consumer::unassign(const TopicPartition& partition) { impl_->assigned.erase(partition); }

Result<std::vector<ConsumedBatch>> Consumer::poll(Duration timeout) {
  if (impl_->held_back) {
    auto error = *std::move(impl_->held_back);
    impl_->held_back.reset();
    return tl::unexpected<Error>(std::move(error));
  }
  const auto deadline = deadline_in(timeout);
  const auto patience = std::min(impl_->client.options().request_timeout,
                                 std::max<Duration>(timeout, std::chrono::seconds(1)));
  std::vector<ConsumedBatch> batches;
  for (;;) {
    RETURN_IF_ERROR(impl_->start_fetches(patience));
    auto fetched = impl_->completions->pop_until(impl_->next_retry(deadline));
    if (fetched) {
      auto finished = impl_->finish(*std::move(fetched), batches);
      // The next answer is on its way while the caller works on this one.
      if (finished && !batches.empty()) finished = impl_->start_fetches(patience);
      if (!finished && batches.empty()) return tl::unexpected<Error>(std::move(finished).error());
      if (!finished) impl_->held_back = std::move(finished).error();
      if (!batches.empty()) return batches;
    } else if (system_clock().mono_now() >= deadline) {
      return batches;
    }
  }
}

Offset Consumer::position(const TopicPartition& partition) const {
  return impl_->assigned.at(partition).position;
}

std::optional<Offset> Consumer::high_watermark(const TopicPartition& partition) const {
  const auto found = impl_->assigned.find(partition);
  return found == impl_->assigned.end() ? std::nullopt : found->second.high_watermark;
}

Result<> for_each_record(const ConsumedBatch& batch, Decompressor& decompressor,
                         std::size_t decompressed_bytes_max,
                         const std::function<bool(const RecordView&)>& visit) {
  if (batch.header.control()) return {};
  const auto named = [&](Error error) {
    return in_context(fmt::format("{}", batch.partition), std::move(error));
  };
  auto reader = RecordReader::open(batch.bytes.view(), decompressed_bytes_max, decompressor);
  if (!reader)
    return in_context(fmt::format("{}: batch at offset {}", batch.partition, batch.header.base_offset),
                      std::move(reader).error());
  RecordView record;
  for (;;) {
    auto more = reader->next(record);
    if (!more) return named(std::move(more).error());
    if (!*more) return {};
    if (record.offset >= batch.from && !visit(record)) return {};
  }
}

}  // namespace tributary
