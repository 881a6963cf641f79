// The forwarder's topics: how many partitions they have, and batches that need new stamps.

#include "gateway/pipeline/forwarder_state.h"

namespace tributary {
namespace {

constexpr auto kRehomeRetry = std::chrono::seconds(1);

}  // namespace

void Forwarder::partition_count(const std::string& name, std::int32_t count) {
  if (count <= 0) return;
  auto& topic = topic_of(name);
  topic.count_known = true;
  if (topic.mapping.existing == count) return;
  uplink_.want_topic(name, count);  // should it be deleted, and made anew by the uplink
  if (!topic.mapping_persisted && !backlog(topic)) {
    topic.mapping = {count, count};
    return;
  }
  log_info("pipeline", "the topic has another number of partitions than was assumed",
           {{"topic", name}, {"assumed", topic.mapping.existing}, {"partitions", count}});
  if (count < topic.mapping.existing) {
    topic.rehoming = true;
  } else {
    topic.mapping_persisted = false;
  }
  topic.mapping.existing = count;
}

// After apply_acks(): what was acknowledged before a setback is no longer in flight.
void Forwarder::apply_setbacks() {
  for (const auto& [id, setback, reason] : std::exchange(setbacks_, {})) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end()) continue;
    auto& partition = *found->second;
    switch (setback) {
      case Setback::kRefused: give_up_refused(partition, id, reason); break;
      case Setback::kFenced: renew_producer(partition, reason); break;
      case Setback::kGap:
        log_warning("pipeline", "the cluster's log lacks what it had acknowledged, a new epoch begins",
                    {{"partition", fmt::to_string(partition.destination)}, {"reason", reason}});
        break;
    }
    partition.topic->rehoming = true;
    forget_in_flight(partition);
  }
}

void Forwarder::give_up_refused(Partition& partition, BatchId id, const std::string& reason) {
  const auto offered = std::find_if(partition.in_flight.begin(), partition.in_flight.end(),
                                    [id](const auto& entry) { return entry.id == id; });
  metrics_.refused.inc(static_cast<std::uint64_t>(offered->record_count));
  if (auto turn = refused_.turn()) {
    log_error("pipeline", "the cluster refuses a batch for good, it is given up",
              {{"batch", id},
               {"partition", fmt::to_string(partition.destination)},
               {"readings", offered->record_count},
               {"reason", reason},
               {"unsaid", turn.suppressed}});
  }
  partition.topic->given_up.push_back({id, offered->record_count, false});
}

// All topics' batches need it. What is in flight may still be acknowledged, and is waited for.
void Forwarder::renew_producer(const Partition& fenced, const std::string& reason) {
  if (fenced.producer_id_last != buffer_.identity().producer_id) return;  // this one is renewed already
  if (!renew_producer_) {
    log_error("pipeline", "another gateway uses this identity (a copied data folder), or this one was put "
              "back to an older state: taking a new producer id", {{"reason", reason}});
  }
  renew_producer_ = true;
  for (auto& [name, topic] : topics_) topic->rehoming = true;
}

// The uplink has given them back, and they are not in the log: rehome() takes them from where they are.
void Forwarder::forget_in_flight(Partition& partition) {
  for (const auto& offered : partition.in_flight) {
    in_flight_.erase(offered.id);
    in_flight_bytes_ -= offered.size;
  }
  partition.in_flight.clear();
}

bool Forwarder::in_flight(const Topic& topic) const {
  return std::any_of(in_flight_.begin(), in_flight_.end(),
                     [&](const auto& entry) { return entry.second->topic == &topic; });
}

bool Forwarder::backlog(const Topic& topic) const {
  bool any = false;
  for (const auto& [destination, partition] : partitions_) {
    any = any || (partition->topic == &topic && !partition->idle());
  }
  sealer_.visit_destinations([&](const TopicPartition& destination) {
    any = any || destination.topic == topic.name;
  });
  return any;
}

Result<> Forwarder::settle_topics() {
  for (auto& [name, topic] : topics_) {
    if (topic->rehoming) {
      if (!in_flight(*topic)) {
        if (clock_.mono_now() < topic->retry) continue;
        ASSIGN_OR_RETURN(const bool done, rehome(*topic));
        if (!done) topic->retry = clock_.mono_now() + kRehomeRetry;
      } else if (auto turn = shrunk_.turn()) {
        log_warning("pipeline", "waiting for batches in flight before batches are given new partitions",
                    {{"topic", name}});
      }
      continue;
    }
    if (topic->mapping.hashed != topic->mapping.existing && !backlog(*topic)) {
      topic->mapping.hashed = topic->mapping.existing;
      topic->mapping_persisted = false;
      persist_mapping(*topic);
    }
  }
  return {};
}

// Nothing of the topic is in flight. False if the buffer refuses a step: a later call tries them all again.
// What is given up goes first, for it makes room for the rest. After a crash between the two, its gap in
// the sequences is found anew.
Result<bool> Forwarder::rehome(Topic& topic) {
  if (!sealer_.empty()) RETURN_IF_ERROR(seal());
  ASSIGN_OR_RETURN(const bool given_up, give_up(topic));
  if (!given_up) return false;
  std::vector<BatchId> ids;
  for (const auto& [id, batch] : tmpfs_) {
    if (batch.partition->topic == &topic) ids.push_back(id);
  }
  ASSIGN_OR_RETURN(const bool spilled, spill_in_chunks(ids));
  if (!spilled) return false;
  RETURN_IF_ERROR(remove_acked_from_flash(clock_.mono_now(), true));
  if (!acked_on_flash_.empty()) return false;
  const auto renewal =
      renew_producer_ ? FlashBuffer::Renewal::kProducer : FlashBuffer::Renewal::kEpoch;
  if (auto done = buffer_.rehome(topic.name, topic.mapping, renewal); !done) {
    (void)buffer_failed("batches cannot be stamped anew", done.error());
    return false;
  }
  renew_producer_ = false;
  const auto& identity = buffer_.identity();
  const auto continuations = buffer_.continuations();
  if (!continuations) {  // then under one epoch more
    (void)buffer_failed("batches cannot be stamped anew", continuations.error());
    return false;
  }
  RETURN_IF_ERROR(intake_.bind({identity.intake_nonce, identity.producer_id, identity.epoch},
                               *continuations, buffer_.last_id_taken()));
  begin_anew(topic);
  return true;
}

// On tmpfs, where one was refused before it was spilled, or on flash. A damaged one is looked at once more: a
// card that did not answer may do so now. False if the buffer refuses.
Result<bool> Forwarder::give_up(Topic& topic) {
  std::erase_if(topic.given_up, [this](const auto& batch) {
    return batch.damaged && buffer_.load(batch.id).has_value();
  });
  std::vector<BatchId> from_tmpfs, from_flash;
  std::size_t kept = 0;
  for (const auto& batch : topic.given_up) {
    const auto held = tmpfs_.find(batch.id);
    if (held == tmpfs_.end()) {
      from_flash.push_back(batch.id);
      continue;
    }
    ASSIGN_OR_RETURN(const auto bytes, intake_.sealed_bytes(batch.id));
    kept += buffer_.set_aside(batch.id, bytes.view()) ? 1 : 0;
    from_tmpfs.push_back(batch.id);
  }
  auto removed = from_flash.empty() ? Result<std::size_t>(0) : buffer_.give_up(from_flash);
  if (!removed) {
    (void)buffer_failed("a batch that is given up stays on flash", removed.error());
    return false;
  }
  if (!from_tmpfs.empty()) RETURN_IF_ERROR(intake_.remove_sealed(from_tmpfs));
  for (const auto id : from_tmpfs) {
    const auto held = tmpfs_.find(id);
    cached_bytes_ -= held->second.bytes.size();
    tmpfs_.erase(held);
  }
  kept += *removed;
  if (kept < topic.given_up.size()) {
    log_error("pipeline", "of batches that are given up, some could not be kept aside",
              {{"topic", topic.name}, {"batches", topic.given_up.size() - kept}});
  }
  for (const auto& batch : topic.given_up) {
    if (batch.damaged) metrics_.lost.inc(static_cast<std::uint64_t>(batch.record_count));
  }
  topic.given_up.clear();
  return true;
}

// All that there is of the topic is on flash, under new stamps.
void Forwarder::begin_anew(Topic& topic) {
  topic.rehoming = false;
  topic.mapping_persisted = true;
  for (const auto& destination : buffer_.destinations()) {
    if (destination.topic != topic.name) continue;
    auto& partition = partition_of(destination);
    partition.staged.clear();
    partition.waiting.clear();
    partition.scanned = partition.offered_last = BatchId(0);
    partition.flash_last = buffer_.last_id();
  }
  log_info("pipeline", "the topic's batches are stamped anew",
           {{"topic", topic.name}, {"partitions", topic.mapping.existing}, {"epoch", buffer_.identity().epoch}});
}

}  // namespace tributary
