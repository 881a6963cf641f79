#include "gateway/uplink/produce_queue.h"

#include "common/base/check.h"

namespace tributary {

void ProduceQueue::push(SealedBatch batch) {
  const bool same = batch.info.producer_id == producer_id_ && batch.info.epoch == epoch_;
  if (halted_ && same) return;
  if (!same) {
    halted_ = false;
    probing_ = true;
  }
  producer_id_ = batch.info.producer_id;
  epoch_ = batch.info.epoch;
  entries_.push_back({std::move(batch), State::kWaiting});
}

std::size_t ProduceQueue::next_waiting() const {
  std::size_t i = 0;
  // Behind a rejected batch there is a gap in the sequences.
  while (i < entries_.size() && entries_[i].state != State::kWaiting)
    if (entries_[i++].state == State::kRejected) return entries_.size();
  return i;
}

const SealedBatch* ProduceQueue::sendable() const {
  if (halted_ || recovering_ || in_flight_ >= (probing_ ? 1 : window_max_)) return nullptr;
  const auto i = next_waiting();
  return i < entries_.size() ? &entries_[i].batch : nullptr;
}

void ProduceQueue::mark_sent() {
  CHECK(sendable() != nullptr, "only what may be sent is");
  entries_[next_waiting()].state = State::kInFlight;
  ++in_flight_;
}

void ProduceQueue::land(BatchId id, Outcome outcome) {
  --in_flight_;
  for (auto& entry : entries_) {
    if (entry.batch.info.id != id || entry.state != State::kInFlight) continue;
    switch (outcome) {
      case Outcome::kAcked: entry.state = State::kAcked; break;
      case Outcome::kFailed: entry.state = State::kFailed; break;
      case Outcome::kRejected: entry.state = State::kRejected; break;
    }
  }
  if (outcome == Outcome::kAcked) {
    if (!recovering_) probing_ = false;
  } else {
    recovering_ = true;
  }
  if (!recovering_ || in_flight_ > 0) return;
  recovering_ = false;
  probing_ = true;
  for (auto& entry : entries_)
    if (entry.state == State::kFailed) entry.state = State::kWaiting;
}

std::optional<BatchId> ProduceQueue::take_acked() {
  if (entries_.empty() || entries_.front().state != State::kAcked) return std::nullopt;
  const auto id = entries_.front().batch.info.id;
  entries_.pop_front();
  return id;
}

std::optional<BatchId> ProduceQueue::rejected() const {
  if (in_flight_ > 0 || entries_.empty() || entries_.front().state != State::kRejected)
    return std::nullopt;
  return oldest();
}

std::vector<BatchId> ProduceQueue::halt() {
  std::vector<BatchId> acked;
  for (const auto& entry : entries_)
    if (entry.state == State::kAcked) acked.push_back(entry.batch.info.id);
  halted_ = true;
  entries_.clear();
  return acked;
}

std::optional<BatchId> ProduceQueue::oldest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().batch.info.id;
}

}  // namespace tributary
