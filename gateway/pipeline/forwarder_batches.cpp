// The forwarder's way of batches: to the uplink, to flash, and away.

#include "common/base/check.h"
#include "gateway/pipeline/forwarder_state.h"

namespace tributary {
namespace {

constexpr std::size_t kStagedMax = 16;
constexpr std::size_t kScanRows = 512;
constexpr std::size_t kSpillBytesMax = 1 << 20;  // of one transaction
constexpr std::size_t kSpillBatchesMax = 512;
constexpr auto kSpillRetry = std::chrono::seconds(1);
constexpr std::size_t kRemoveMax = 200;
constexpr int kReadTries = 10;  // one a second
constexpr auto kRemoveAfter = std::chrono::seconds(5);

}  // namespace

// ---- To the uplink and back --------------------------------------------------------------------------

// Recorded before anything more is offered: a crash then leaves at most kOfferedMax batches of a
// partition that the leader may have and this gateway sends again, which is what the leader remembers.
Result<> Forwarder::apply_acks(MonoTime now) {
  if (acks_.empty()) return {};
  std::vector<BatchId> from_tmpfs, from_flash;
  for (const auto id : acks_) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end()) continue;
    auto& offered = found->second->in_flight;
    const auto entry = std::find_if(offered.begin(), offered.end(), [&](auto& o) { return o.id == id; });
    CHECK(entry != offered.end(), "batch {} is in flight in {}", id, found->second->destination);
    in_flight_bytes_ -= entry->size;
    metrics_.acked.inc(static_cast<std::uint64_t>(entry->record_count));
    metrics_.acked_batches.inc();
    offered.erase(entry);
    in_flight_.erase(found);
    const auto held = tmpfs_.find(id);
    if (held == tmpfs_.end()) {
      from_flash.push_back(id);
      continue;
    }
    const auto age = now - held->second.info.oldest_received;
    if (age >= Duration::zero()) metrics_.ack_seconds.observe(std::chrono::duration<double>(age).count());
    cached_bytes_ -= held->second.bytes.size();
    tmpfs_.erase(held);
    from_tmpfs.push_back(id);
  }
  acks_.clear();
  RETURN_IF_ERROR(intake_.remove_sealed(from_tmpfs, from_flash));
  if (!from_flash.empty() && acked_on_flash_.empty()) acked_on_flash_since_ = now;
  acked_on_flash_.insert(from_flash.begin(), from_flash.end());
  return {};
}

Result<> Forwarder::offer() {
  if (!reachable_ || order_.empty()) return {};
  bool any = true;
  while (any) {
    any = false;
    const auto first = next_in_order_++ % order_.size();
    for (std::size_t i = 0; i < order_.size(); ++i) {
      ASSIGN_OR_RETURN(const bool offered, offer_one(*order_[(first + i) % order_.size()]));
      any = any || offered;
    }
  }
  return {};
}

Result<bool> Forwarder::offer_one(Partition& partition) {
  const auto& topic = *partition.topic;
  if (!topic.count_known || topic.rehoming || partition.in_flight.size() >= UplinkPort::kOfferedMax) {
    return false;
  }
  if (in_flight_bytes_ >= options_.in_flight_bytes_max) return false;
  ASSIGN_OR_RETURN(auto next, next_batch(partition));
  if (!next) return false;
  const auto& info = next->info;
  CHECK(info.id > partition.offered_last, "{}: batch {} after {}", partition.destination, info.id,
        partition.offered_last);
  partition.in_flight.push_back({info.id, next->bytes.size(), info.record_count});
  partition.offered_last = info.id;
  partition.producer_id_last = info.producer_id;
  partition.epoch_last = info.epoch;
  if (partition.staged.empty()) {
    partition.waiting.pop_front();
  } else {
    partition.staged.pop_front();
  }
  in_flight_.emplace(info.id, &partition);
  in_flight_bytes_ += next->bytes.size();
  uplink_.offer(*std::move(next));
  return true;
}

// The batch to offer next: still first in `staged` or `waiting`. Nothing if there is none now.
Result<std::optional<SealedBatch>> Forwarder::next_batch(Partition& partition) {
  if (partition.staged.empty() && partition.scanned < partition.flash_last) refill(partition);
  if (!partition.staged.empty()) return next_from_flash(partition);
  if (partition.flash_backlog() || partition.waiting.empty()) return std::nullopt;
  const auto& held = tmpfs_.at(partition.waiting.front());
  ASSIGN_OR_RETURN(const bool follows, may_follow(partition, held.info));
  if (!follows) return std::nullopt;
  SealedBatch batch{held.info, held.bytes};
  if (batch.bytes.empty()) {
    ASSIGN_OR_RETURN(batch.bytes, intake_.sealed_bytes(held.info.id));
  }
  return std::optional(std::move(batch));
}

Result<std::optional<SealedBatch>> Forwarder::next_from_flash(Partition& partition) {
  const auto& info = partition.staged.front();
  if (clock_.mono_now() < partition.read_retry) return std::nullopt;
  ASSIGN_OR_RETURN(const bool follows, may_follow(partition, info));
  if (!follows) return std::nullopt;
  auto batch = buffer_.load(info.id);
  if (!batch) {
    read_failed(partition, batch.error());
    return std::nullopt;
  }
  partition.read_failures = 0;
  return std::optional(*std::move(batch));
}

// Damage, and a card that does not answer, look alike: SQLite calls EIO a malformed image. A page that the
// card does not give in so many seconds it will not give at all.
void Forwarder::read_failed(Partition& partition, const Error& error) {
  if (++partition.read_failures < kReadTries) {
    partition.read_retry = buffer_failed("a batch cannot be read", error);
    return;
  }
  partition.read_failures = 0;
  const auto& info = partition.staged.front();
  log_error("pipeline", "a batch on flash is damaged and will be given up",
            {{"reason", error.message},
             {"partition", fmt::to_string(partition.destination)},
             {"readings", info.record_count}});
  partition.topic->given_up.push_back({info.id, info.record_count, true});
  partition.topic->rehoming = true;
}

// A new epoch fences the former one: before the first batch of it is offered, nothing of the former may be
// in flight, and nothing that is acknowledged may be on flash any more, whence a power cut would bring
// it back (that it is acknowledged is noted on tmpfs).
Result<bool> Forwarder::may_follow(const Partition& partition, const SealedBatchInfo& info) {
  if (partition.producer_id_last == info.producer_id && partition.epoch_last == info.epoch) return true;
  if (!partition.in_flight.empty()) return false;
  if (clock_.mono_now() < remove_retry_) return acked_on_flash_.empty();
  RETURN_IF_ERROR(remove_acked_from_flash(clock_.mono_now(), true));
  return acked_on_flash_.empty();
}

void Forwarder::refill(Partition& partition) {
  if (clock_.mono_now() < partition.read_retry) return;
  std::size_t rows = 0;
  const auto last = buffer_.scan(partition.scanned, kScanRows, [&](const SealedBatchInfo& info) {
    ++rows;
    if (info.destination == partition.destination && !acked_on_flash_.contains(info.id)) {
      partition.staged.push_back(info);
    }
    return partition.staged.size() < kStagedMax;
  });
  if (!last) {
    partition.read_retry = buffer_failed("batches cannot be read", last.error());
    return;
  }
  partition.scanned = *last;
  if (partition.staged.size() < kStagedMax && rows < kScanRows) {
    partition.scanned = partition.flash_last = std::max(partition.flash_last, *last);
  } else if (partition.staged.empty()) {
    more_to_scan_ = true;
  }
}

// ---- To flash and away -------------------------------------------------------------------------------

// All of a partition's batches, once one of them is due: those on flash must be older than those on tmpfs.
std::vector<BatchId> Forwarder::due_for_spill(MonoTime now, bool all) const {
  std::set<const Partition*> due;
  for (const auto& [id, batch] : tmpfs_) {
    if (!all && batch.sealed_with_oldest + sealer_.seal_age() > now) break;
    due.insert(batch.partition);
  }
  std::vector<BatchId> ids;
  if (due.empty()) return ids;
  for (const auto& [id, batch] : tmpfs_) {
    if (due.contains(batch.partition)) ids.push_back(id);
  }
  return ids;
}

Result<> Forwarder::spill(MonoTime now, bool all) {
  if (now < spill_retry_) return {};
  ASSIGN_OR_RETURN(const bool spilled, spill_in_chunks(due_for_spill(now, all)));
  if (!spilled) spill_retry_ = now + kSpillRetry;
  return {};
}

// False if the buffer did not take them all: those that it took are the first ones.
Result<bool> Forwarder::spill_in_chunks(const std::vector<BatchId>& ids) {
  std::vector<BatchId> chunk;
  std::size_t bytes = 0;
  for (const auto id : ids) {
    const auto size = static_cast<std::size_t>(tmpfs_.at(id).info.size);
    if (!chunk.empty() && (bytes + size > kSpillBytesMax || chunk.size() == kSpillBatchesMax)) {
      ASSIGN_OR_RETURN(const bool spilled, spill_chunk(chunk));
      if (!spilled) return false;
      chunk.clear();
      bytes = 0;
    }
    chunk.push_back(id);
    bytes += size;
  }
  if (chunk.empty()) return true;
  return spill_chunk(chunk);
}

// False if the buffer did not take them; an error only from the intake.
Result<bool> Forwarder::spill_chunk(const std::vector<BatchId>& ids) {
  std::vector<SealedBatch> batches;
  for (const auto id : ids) {
    const auto& held = tmpfs_.at(id);
    batches.push_back({held.info, held.bytes});
    if (held.bytes.empty()) {
      ASSIGN_OR_RETURN(batches.back().bytes, intake_.sealed_bytes(id));
    }
  }
  if (auto added = buffer_.add(batches); !added) {
    (void)buffer_failed("readings stay in the intake, on tmpfs", added.error());
    return false;
  }
  RETURN_IF_ERROR(intake_.remove_sealed(ids));
  for (const auto& [info, bytes] : batches) {
    metrics_.spilled.inc(static_cast<std::uint64_t>(info.record_count));
    metrics_.spilled_batches.inc();
    metrics_.spilled_bytes.inc(bytes.size());
    const auto held = tmpfs_.find(info.id);
    auto& partition = *held->second.partition;
    cached_bytes_ -= held->second.bytes.size();
    tmpfs_.erase(held);
    if (!partition.waiting.empty() && partition.waiting.front() == info.id) partition.waiting.pop_front();
    partition.scanned = std::max(partition.scanned, partition.offered_last);
    partition.flash_last = std::max(partition.flash_last, info.id);
    // It may have read the flash beyond this one: other partitions' batches with larger ids were there.
    if (info.id > partition.offered_last) partition.scanned = std::min(partition.scanned, info.id - 1);
  }
  return true;
}

bool Forwarder::flash_drained() const {
  for (const auto& [destination, partition] : partitions_) {
    if (partition->flash_backlog()) return false;
  }
  return std::all_of(in_flight_.begin(), in_flight_.end(),
                     [this](const auto& entry) { return tmpfs_.contains(entry.first); });
}

// Many at once: each transaction on flash costs its journal.
Result<> Forwarder::remove_acked_from_flash(MonoTime now, bool at_once) {
  if (acked_on_flash_.empty() || (now < remove_retry_ && !at_once)) return {};
  const bool overdue = acked_on_flash_since_ && now >= *acked_on_flash_since_ + kRemoveAfter;
  if (!at_once && !overdue && acked_on_flash_.size() < kRemoveMax && !flash_drained()) return {};
  const std::vector<BatchId> ids(acked_on_flash_.begin(), acked_on_flash_.end());
  if (auto removed = buffer_.remove(ids); !removed) {
    remove_retry_ = buffer_failed("acknowledged batches stay on flash", removed.error());
    return {};
  }
  RETURN_IF_ERROR(intake_.forget_acked_on_flash(ids));
  acked_on_flash_.clear();
  acked_on_flash_since_.reset();
  return {};
}

// ---- End --------------------------------------------------------------------------------------------

Result<> Forwarder::finish() {
  const auto now = clock_.mono_now();
  RETURN_IF_ERROR(apply_acks(now));
  hurry();
  do {
    more_to_scan_ = false;
    RETURN_IF_ERROR(read_and_seal(now));
  } while (more_to_scan_);
  spill_retry_ = {};
  RETURN_IF_ERROR(spill(now, true));
  RETURN_IF_ERROR(remove_acked_from_flash(now, true));
  housekeep(now);
  return {};
}

}  // namespace tributary
