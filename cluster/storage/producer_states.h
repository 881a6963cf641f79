#pragma once
// What a log remembers of each idempotent producer (KIP-98), so that a batch that is sent again is
// recognised.

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/record/record_batch.h"

namespace tributary {

/// A batch that was appended.
struct ProducerBatch {
  Sequence last_sequence{0};
  Offset last_offset{0};
  std::int32_t offset_delta = 0;  // last offset - base offset
  std::int64_t timestamp_ms = kNoTimestamp;

  [[nodiscard]] Offset base_offset() const { return last_offset - offset_delta; }
  [[nodiscard]] Sequence first_sequence() const { return advanced(last_sequence, -offset_delta); }
  friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

struct ProducerEntry {
  /// How many batches can be answered with their old offset: clients have at most 5 in flight.
  static constexpr std::size_t kBatchesMax = 5;
  static constexpr std::int32_t kRunMax = 1 << 30;

  ProducerEpoch epoch{0};
  std::uint8_t batch_count = 0;                     // 1 to kBatchesMax
  std::array<ProducerBatch, kBatchesMax> batches;   // oldest first
  /// So many records up to the newest one are in the log without a gap in this epoch's sequences;
  /// stays at kRunMax. What lies before was perhaps never sent to this log.
  std::int32_t run_records = 0;

  [[nodiscard]] const ProducerBatch& newest() const { return batches[batch_count - 1u]; }
  [[nodiscard]] const ProducerBatch& oldest() const { return batches[0]; }
  [[nodiscard]] std::span<const ProducerBatch> remembered() const { return {batches.data(), batch_count}; }
};

struct SequenceVerdict {
  enum class Kind {
    kNew,        // append it
    kDuplicate,  // it is at these offsets
    kStale,      // it is in the log below next_offset, but no longer remembered exactly
  };
  Kind kind = Kind::kNew;
  Offset base_offset{0};  // kDuplicate
  Offset next_offset{0};  // exclusive; kDuplicate, kStale
  std::int64_t timestamp_ms = kNoTimestamp;  // its largest; kDuplicate
};

/// Judges a batch by what is known of its producer (nothing = unknown: any sequence is accepted).
/// kFenced for an older epoch; kOutOfOrderSequence for a gap, or a new epoch that does not start at 0.
[[nodiscard]] Result<SequenceVerdict> judge_sequence(const ProducerEntry* known,
                                                     const BatchHeader& batch);

/// What is known after the batch was appended (its header has the final offsets).
[[nodiscard]] ProducerEntry entry_after(const ProducerEntry* known, const BatchHeader& batch);

/// All producers of one log; the log's thread only. A function of the log's batches: replaying them
/// over a snapshot gives the same as having appended them.
class ProducerStates {
 public:
  explicit ProducerStates(std::size_t producers_max) : producers_max_(producers_max) {}

  [[nodiscard]] const ProducerEntry* find(ProducerId id) const;
  /// A batch is in the log. Not idempotent batches are ignored. Forgets the producers that have been
  /// silent for longest, by offset, when there are an eighth more than producers_max.
  void apply(const BatchHeader& batch);
  void restore(ProducerId id, const ProducerEntry& entry) { entries_[id] = entry; }
  void clear() { entries_.clear(); }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// In [first, last], in no order.
  [[nodiscard]] std::vector<ProducerId> ids_between(ProducerId first, ProducerId last) const;
  /// By rising id.
  [[nodiscard]] std::vector<std::pair<ProducerId, const ProducerEntry*>> sorted() const;

 private:
  void forget_silent();

  const std::size_t producers_max_;
  std::unordered_map<ProducerId, ProducerEntry> entries_;
};

}  // namespace tributary
