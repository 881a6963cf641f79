#include "cluster/storage/producer_states.h"

#include <algorithm>

namespace tributary {
namespace {

/// How many sequences `from` lies before `to`, modulo 2^31.
std::int32_t distance(Sequence from, Sequence to) {
  return static_cast<std::int32_t>(
      (static_cast<std::int64_t>(to.value()) - from.value()) & 0x7fffffff);
}

/// `batch` is wholly within the run: an offset that all its records lie below.
Offset end_of_stale(const ProducerEntry& known, const BatchHeader& batch) {
  const auto last = known.newest().last_sequence;
  const auto behind = distance(batch.last_sequence(), last);
  for (const auto& remembered : known.remembered()) {
    if (behind > distance(remembered.first_sequence(), last)) return remembered.base_offset();
    if (behind >= distance(remembered.last_sequence, last)) return remembered.last_offset + 1;
  }
  return known.newest().last_offset + 1;
}

}  // namespace

Result<SequenceVerdict> judge_sequence(const ProducerEntry* known, const BatchHeader& batch) {
  using Kind = SequenceVerdict::Kind;
  if (known == nullptr) return SequenceVerdict{};
  if (batch.producer_epoch < known->epoch)
    return fail(Errc::kFenced, fmt::format("producer {} has epoch {}, the batch has {}",
                                           batch.producer_id, known->epoch, batch.producer_epoch));
  if (batch.producer_epoch > known->epoch) {
    if (batch.base_sequence == Sequence(0)) return SequenceVerdict{};
    return fail(Errc::kOutOfOrderSequence,
                fmt::format("producer {}: the new epoch {} starts with sequence {} instead of 0",
                            batch.producer_id, batch.producer_epoch, batch.base_sequence));
  }
  const auto last = known->newest().last_sequence;
  if (batch.base_sequence == advanced(last, 1)) return SequenceVerdict{};
  for (const auto& remembered : known->remembered())
    if (remembered.first_sequence() == batch.base_sequence &&
        remembered.last_sequence == batch.last_sequence())
      return SequenceVerdict{Kind::kDuplicate, remembered.base_offset(), remembered.last_offset + 1,
                             remembered.timestamp_ms};

  const auto behind = static_cast<std::int64_t>(distance(batch.last_sequence(), last));
  if (behind + batch.last_offset_delta + 1 <= known->run_records)
    return SequenceVerdict{Kind::kStale, Offset(0), end_of_stale(*known, batch)};
  return fail(Errc::kOutOfOrderSequence,
              fmt::format("producer {}: sequence {} after {}", batch.producer_id, batch.base_sequence,
                          last));
}

ProducerEntry entry_after(const ProducerEntry* known, const BatchHeader& batch) {
  ProducerEntry entry;
  const bool goes_on = known != nullptr && known->epoch == batch.producer_epoch &&
                       batch.base_sequence == advanced(known->newest().last_sequence, 1);
  if (goes_on) entry = *known;
  entry.epoch = batch.producer_epoch;
  if (entry.batch_count == ProducerEntry::kBatchesMax) {
    std::shift_left(entry.batches.begin(), entry.batches.end(), 1);
    --entry.batch_count;
  }
  entry.batches[entry.batch_count++] = {batch.last_sequence(), batch.last_offset(),
                                        batch.last_offset_delta, batch.max_timestamp_ms};
  entry.run_records = static_cast<std::int32_t>(
      std::min<std::int64_t>(ProducerEntry::kRunMax,
                             std::int64_t{entry.run_records} + batch.last_offset_delta + 1));
  return entry;
}

const ProducerEntry* ProducerStates::find(ProducerId id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

void ProducerStates::apply(const BatchHeader& batch) {
  if (!batch.idempotent()) return;
  const auto [entry, added] = entries_.try_emplace(batch.producer_id);
  entry->second = entry_after(added ? nullptr : &entry->second, batch);
  if (entries_.size() > producers_max_ + producers_max_ / 8) forget_silent();
}

void ProducerStates::forget_silent() {
  std::vector<Offset> newest;
  newest.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) newest.push_back(entry.newest().last_offset);
  const auto kept = newest.end() - static_cast<std::ptrdiff_t>(producers_max_);
  std::nth_element(newest.begin(), kept, newest.end());
  if (kept == newest.end()) return entries_.clear();
  std::erase_if(entries_, [&](const auto& item) { return item.second.newest().last_offset < *kept; });
}

std::vector<ProducerId> ProducerStates::ids_between(ProducerId first, ProducerId last) const {
  std::vector<ProducerId> ids;
  for (const auto& [id, entry] : entries_)
    if (first <= id && id <= last) ids.push_back(id);
  return ids;
}

std::vector<std::pair<ProducerId, const ProducerEntry*>> ProducerStates::sorted() const {
  std::vector<std::pair<ProducerId, const ProducerEntry*>> result;
  result.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) result.emplace_back(id, &entry);
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace tributary
