#include "gateway/uplink/uplink_core.h"

#include <algorithm>

#include "common/base/check.h"

namespace tributary {
namespace {

enum class Kind { kAcked, kRefused, kFenced, kGap, kRetry, kRetrySlowly };

/// Only what is the batch's own fault is refused: an acknowledged reading is not given up for a setting.
Kind kind_of(ErrorCode code, std::int32_t record_count) {
  switch (code) {
    case ErrorCode::kNone:
    case ErrorCode::kDuplicateSequenceNumber: return Kind::kAcked;
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kRecordListTooLarge: return record_count == 1 ? Kind::kRefused : Kind::kRetrySlowly;
    case ErrorCode::kInvalidTimestamp:
    case ErrorCode::kInvalidRecord: return Kind::kRefused;
    case ErrorCode::kUnsupportedForMessageFormat:
    case ErrorCode::kUnsupportedCompressionType: return Kind::kRetrySlowly;
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kProducerFenced: return Kind::kFenced;
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kUnknownProducerId: return Kind::kGap;
    case ErrorCode::kCorruptMessage: return Kind::kRetry;  // on the way: its CRC was right here
    // Someone has to change something at the cluster: ask seldom.
    default: return retriable(code) ? Kind::kRetry : Kind::kRetrySlowly;
  }
}

/// Where and who we sent it to may be wrong.
bool asks_for_metadata(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kLeaderNotAvailable:
    case ErrorCode::kBrokerNotAvailable:
    case ErrorCode::kReplicaNotAvailable:
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kUnknownLeaderEpoch:
    case ErrorCode::kKafkaStorageError: return true;
    default: return false;
  }
}

}  // namespace

UplinkCore::UplinkCore(UplinkCoreOptions options, UplinkActions& actions, Random& random, MonoTime now)
    : options_(options), actions_(actions), random_(random), metadata_at_(now), last_answer_(now) {}

void UplinkCore::want_topic(MonoTime now, const std::string& topic, std::int32_t partitions) {
  const auto [found, added] = topics_.try_emplace(topic);
  found->second.wanted_partitions = std::max(partitions, 1);
  if (added) ask_metadata(now);
}

void UplinkCore::offer(MonoTime now, SealedBatch batch) {
  const auto destination = batch.info.destination;
  auto& partition = partitions_[destination];
  if (!partition) {
    partition = std::make_unique<Partition>(Partition{destination, ProduceQueue(options_.window_max), {}, false, 0, {}});
    if (topics_.try_emplace(destination.topic).second) ask_metadata(now);
  }
  partition->queue.push(std::move(batch));
  give_back_if_gone(*partition);
}

void UplinkCore::connection_changed(MonoTime now) {
  metadata_backoff_ = {};
  ask_metadata(now);
}

std::size_t UplinkCore::unacknowledged() const {
  std::size_t count = 0;
  for (const auto& [destination, partition] : partitions_) count += partition->queue.size();
  return count;
}

// ---- Time

void UplinkCore::tick(MonoTime now) {
  now_ = now;
  // Requests under way, and nothing heard: is it there at all?
  const bool waiting = !flights_.empty() && !suspended_;
  if (waiting && now >= std::max(last_answer_, last_probe_) + options_.silence_max) {
    last_probe_ = now;
    ask_metadata(now);
  }
  if (metadata_request_ == 0 && now >= metadata_at_) {
    metadata_request_ = next_request_++;
    metadata_again_ = false;
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) names.push_back(name);
    actions_.send_metadata(metadata_request_, names);
  }
  for (auto& [name, topic] : topics_)
    if (topic.creation.failures > 0 && !topic.creating && now >= topic.creation.until) create_topic(now, name, topic);
  pump(now);
}

MonoTime UplinkCore::next_time() const {
  auto next = MonoTime::max();
  if (metadata_request_ == 0) next = metadata_at_;
  if (!flights_.empty() && !suspended_)
    next = std::min(next, std::max(last_answer_, last_probe_) + options_.silence_max);
  for (const auto& [name, topic] : topics_)
    if (topic.creation.failures > 0 && !topic.creating) next = std::min(next, topic.creation.until);
  if (suspended_) return next;
  for (const auto& [destination, partition] : partitions_)
    // One whose time has come waits for others' answers.
    if (!partition->stale_leader && partition->backoff.failures > 0 && partition->backoff.until > now_ &&
        partition->queue.sendable() != nullptr)
      next = std::min(next, partition->backoff.until);
  return next;
}

/// Exponential, jittered to between half and all of it.
void UplinkCore::delay(MonoTime now, Backoff& backoff, Duration max) {
  const int doublings = std::min(backoff.failures++, 20);
  const auto full = std::min<Duration>(max, options_.retry_min * (std::int64_t{1} << doublings));
  backoff.until = now + Duration(static_cast<std::int64_t>(
                            static_cast<double>(full.count()) * (0.5 + 0.5 * random_.unit())));
}

void UplinkCore::say(MonoTime now, const std::string& kind, const std::string& text) {
  const auto [found, first] = said_.try_emplace(kind, now);
  if (!first && now < found->second + options_.say_interval) return;
  found->second = now;
  actions_.say(true, text);
}

// ---- Sending

BrokerId UplinkCore::leader_of(const Partition& partition) const {
  const auto topic = topics_.find(partition.destination.topic);
  const auto index = static_cast<std::size_t>(partition.destination.partition.value());
  if (topic == topics_.end() || index >= topic->second.leaders.size()) return BrokerId(-1);
  return topic->second.leaders[index];
}

bool UplinkCore::ready(MonoTime now, const Partition& partition) const {
  if (partition.stale_leader || leader_of(partition) == BrokerId(-1)) return false;
  if (partition.backoff.failures > 0 && now < partition.backoff.until) return false;
  return partition.queue.sendable() != nullptr;
}

void UplinkCore::pump(MonoTime now) {
  while (!suspended_ && send_one_request(now)) {
  }
}

/// Builds a request for the leader of the next partition in turn that is ready, with a batch of each of
/// that leader's partitions.
bool UplinkCore::send_one_request(MonoTime now) {
  std::vector<Partition*> order;
  for (auto it = partitions_.upper_bound(turn_); it != partitions_.end(); ++it) order.push_back(it->second.get());
  for (auto it = partitions_.begin(); it != partitions_.upper_bound(turn_); ++it) order.push_back(it->second.get());

  BrokerId leader(-1);
  Flight flight;
  std::vector<const SealedBatch*> batches;
  for (auto* partition : order) {
    if (!ready(now, *partition)) continue;
    if (leader != BrokerId(-1) && leader_of(*partition) != leader) continue;
    const auto* batch = partition->queue.sendable();
    const auto size = batch->bytes.size();
    if (in_flight_bytes_ > 0 && in_flight_bytes_ + size > options_.in_flight_bytes_max) break;
    if (!batches.empty() && flight.bytes + size > options_.request_bytes_max) break;
    leader = leader_of(*partition);
    flight.bytes += size;
    in_flight_bytes_ += size;
    flight.items.push_back({partition->destination, batch->info.id, batch->info.record_count});
    batches.push_back(batch);
    partition->queue.mark_sent();
    turn_ = partition->destination;
  }
  if (batches.empty()) return false;
  flight.sent_at = now;
  const auto id = next_request_++;
  if (flights_.empty()) last_answer_ = now;
  flights_.emplace(id, std::move(flight));
  actions_.send_produce(id, leader, batches);
  return true;
}

// ---- Answers to Produce

void UplinkCore::produce_done(MonoTime now, UplinkRequestId id,
                              const Result<std::vector<ProduceOutcome>>& result) {
  const auto found = flights_.find(id);
  CHECK(found != flights_.end(), "an answer to produce request {}", id);
  const auto flight = std::move(found->second);
  flights_.erase(found);
  in_flight_bytes_ -= flight.bytes;
  if (result) {
    alive(now);
  } else {
    suspended_ = true;  // until metadata says that someone is there
    ask_metadata(now);
  }
  for (const auto& item : flight.items) {
    auto& partition = *partitions_.at(item.destination);
    ProduceOutcome outcome{item.destination, ErrorCode::kNetworkException,
                           result ? "not mentioned in the answer" : result.error().message};
    if (result)
      for (const auto& answered : *result)
        if (answered.destination == item.destination) outcome = answered;
    settle(now, partition, item, outcome);
    finish(partition);
  }
}

void UplinkCore::settle(MonoTime now, Partition& partition, const Flight::Item& item,
                        const ProduceOutcome& outcome) {
  const auto kind = kind_of(outcome.error, item.record_count);
  if (kind == Kind::kAcked) {
    partition.backoff = {};
    partition.gaps = 0;
    return partition.queue.land(item.id, ProduceQueue::Outcome::kAcked);
  }
  const auto text = fmt::format("batch {} for {} is refused: {}{}{}", item.id, partition.destination,
                                outcome.error, outcome.message.empty() ? "" : ": ", outcome.message);
  if (kind == Kind::kRefused || kind == Kind::kFenced) {
    partition.verdicts[item.id] = {kind == Kind::kFenced ? Setback::kFenced : Setback::kRefused, text};
    return partition.queue.land(item.id, ProduceQueue::Outcome::kRejected);
  }
  partition.queue.land(item.id, ProduceQueue::Outcome::kFailed);
  const auto retry_max = kind == Kind::kRetrySlowly ? options_.retry_max * 6 : options_.retry_max;
  delay(now, partition.backoff, retry_max);
  if (asks_for_metadata(outcome.error)) {
    partition.stale_leader = true;
    ask_metadata(now);
  }
  if (kind == Kind::kGap) return settle_gap(partition, item.id, text);
  // A lost flight and a moved leader are everyday; the rest, and what lasts, is said.
  const bool everyday = outcome.error == ErrorCode::kNetworkException || asks_for_metadata(outcome.error);
  if (!everyday || (partition.backoff.failures >= 10 && reachable_))
    say(now, fmt::format("{}", outcome.error), fmt::format("{}; it is tried again", text));
}

// Behind a failed batch it is everyday. For the oldest one, with nothing in flight, it is not: all before it
// are acknowledged, it is not in the log, and sending it again will not help.
void UplinkCore::settle_gap(Partition& partition, BatchId id, const std::string& reason) {
  if (partition.queue.in_flight() > 0 || partition.queue.oldest() != id) return;
  if (++partition.gaps >= options_.gap_tries) give_back(partition, id, Setback::kGap, reason);
}

void UplinkCore::finish(Partition& partition) {
  while (const auto id = partition.queue.take_acked()) actions_.acked(*id);
  if (const auto id = partition.queue.rejected()) {
    const auto verdict = partition.verdicts.at(*id);
    give_back(partition, *id, verdict.setback, verdict.reason);
  }
  give_back_if_gone(partition);
}

// A topic that has a partition less was deleted and made anew: with the log went what was sent to it.
void UplinkCore::give_back_if_gone(Partition& partition) {
  const auto& leaders = topics_.at(partition.destination.topic).leaders;
  const auto index = static_cast<std::size_t>(partition.destination.partition.value());
  const auto oldest = partition.queue.oldest();
  if (leaders.empty() || index < leaders.size() || partition.queue.in_flight() > 0 || !oldest) return;
  give_back(partition, *oldest, Setback::kGap,
            fmt::format("{} is gone: the topic has {} partitions", partition.destination, leaders.size()));
}

void UplinkCore::give_back(Partition& partition, BatchId id, Setback setback, const std::string& reason) {
  for (const auto acked : partition.queue.halt()) actions_.acked(acked);
  partition.verdicts.clear();
  partition.backoff = {};
  partition.gaps = 0;
  actions_.setback(id, setback, reason);
}

// ---- Metadata

void UplinkCore::ask_metadata(MonoTime not_before) {
  if (metadata_request_ != 0) metadata_again_ = true;
  auto at = not_before;
  if (metadata_backoff_.failures > 0) at = std::max(at, metadata_backoff_.until);
  metadata_at_ = std::min(metadata_at_, at);
}

void UplinkCore::metadata_done(MonoTime now, UplinkRequestId id, const Result<std::vector<TopicView>>& result) {
  CHECK(id == metadata_request_, "an answer to metadata request {}", id);
  metadata_request_ = 0;
  metadata_at_ = now + options_.metadata_max_age;
  if (!result) {
    suspended_ = true;
    delay(now, metadata_backoff_, options_.retry_max);
    metadata_at_ = metadata_backoff_.until;
    set_reachable(false);
    say(now, "unreachable", fmt::format("the cluster does not answer: {}; it is tried again", result.error().message));
    return;
  }
  metadata_backoff_ = {};
  alive(now);
  if (!reachable_ && said_.erase("unreachable") > 0) actions_.say(false, "the cluster answers");
  set_reachable(true);
  suspended_ = false;
  const bool again = std::exchange(metadata_again_, false);
  for (const auto& view : *result) learn_topic(now, view);
  if (again) ask_metadata(now + options_.retry_min);
}

void UplinkCore::learn_topic(MonoTime now, const TopicView& view) {
  const auto found = topics_.find(view.name);
  if (found == topics_.end()) return;
  auto& topic = found->second;
  if (view.error != ErrorCode::kNone) {
    topic.leaders.clear();
    ask_metadata(now + options_.retry_min * 10);
    if (view.error == ErrorCode::kUnknownTopicOrPartition && options_.create_topics) {
      if (topic.creation.failures == 0 && !topic.creating) create_topic(now, view.name, topic);
      return;
    }
    return say(now, "topic " + view.name, fmt::format("topic {}: {}; it is asked for again", view.name, view.error));
  }
  topic.creation = {};
  if (!topic.announced || topic.leaders.size() != view.leaders.size())
    actions_.partition_count(view.name, static_cast<std::int32_t>(view.leaders.size()));
  topic.announced = true;
  topic.leaders = view.leaders;
  bool leaderless = false;
  for (std::size_t i = 0; i < view.leaders.size(); ++i) {
    const auto partition = partitions_.find({view.name, PartitionIndex(static_cast<std::int32_t>(i))});
    if (partition == partitions_.end()) continue;
    partition->second->stale_leader = false;
    leaderless = leaderless || (view.leaders[i] == BrokerId(-1) && !partition->second->queue.empty());
  }
  if (leaderless) ask_metadata(now + options_.retry_min * 5);
  for (auto& [destination, partition] : partitions_)
    if (destination.topic == view.name) give_back_if_gone(*partition);
}

void UplinkCore::create_topic(MonoTime now, const std::string& name, Topic& topic) {
  if (suspended_) {  // once it answers again
    topic.creation.until = now + options_.retry_max;
    topic.creation.failures = std::max(topic.creation.failures, 1);
    return;
  }
  topic.creating = true;
  const auto id = next_request_++;
  creations_.emplace(id, name);
  actions_.send_create_topic(id, name, topic.wanted_partitions);
}

void UplinkCore::create_topic_done(MonoTime now, UplinkRequestId id, const Result<ErrorCode>& result) {
  const auto found = creations_.find(id);
  CHECK(found != creations_.end(), "an answer to create-topic request {}", id);
  const auto name = std::move(found->second);
  creations_.erase(found);
  auto& topic = topics_.at(name);
  topic.creating = false;
  if (result) alive(now);
  if (result && (*result == ErrorCode::kNone || *result == ErrorCode::kTopicAlreadyExists)) {
    topic.creation = {};
    if (*result == ErrorCode::kNone)
      actions_.say(false, fmt::format("topic {} created with {} partitions", name, topic.wanted_partitions));
    return ask_metadata(now);
  }
  delay(now, topic.creation, options_.retry_max * 6);
  if (result) say(now, "topic " + name, fmt::format("topic {} cannot be created: {}; it is tried again", name, *result));
  ask_metadata(now + options_.retry_min);
}

void UplinkCore::alive(MonoTime now) { last_answer_ = now; }

void UplinkCore::set_reachable(bool reachable) {
  if (reachable_ == reachable) return;
  reachable_ = reachable;
  if (!reachable)
    for (auto& [name, topic] : topics_) topic.announced = false;
  actions_.reachable(reachable);
}

}  // namespace tributary
