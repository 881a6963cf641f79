#pragma once
// One partition's batches between their offer and their acknowledgement. Internal to the folder.

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "gateway/buffer/sealed_batch.h"

namespace tributary {

/// An idempotent producer's window (KIP-98): up to `window_max` batches in flight, acknowledged in order.
/// Go-back-N: after a failure nothing is sent until all in flight has landed; then the oldest
/// unacknowledged batch goes alone, and its acknowledgement opens the window again. So does the first
/// one of all. A leader that does not know the producer accepts any sequence, and must therefore never
/// be able to see a batch before its predecessor.
///
/// Pure: no clock, I/O or thread.
class ProduceQueue {
 public:
  explicit ProduceQueue(std::size_t window_max) : window_max_(window_max) {}

  /// Under another producer id or epoch than the last one's: lifts halt(). While halted under the same
  /// one the batch is forgotten.
  void push(SealedBatch batch);

  /// The batch to be sent next; null if none may be sent now.
  [[nodiscard]] const SealedBatch* sendable() const;
  /// sendable() is in flight.
  void mark_sent();

  enum class Outcome { kAcked, kFailed, kRejected };
  /// What became of a batch in flight.
  void land(BatchId id, Outcome outcome);

  /// Takes the oldest batch if it is acknowledged: its id.
  [[nodiscard]] std::optional<BatchId> take_acked();

  /// The oldest batch if it is rejected and nothing is in flight any more: time to halt.
  [[nodiscard]] std::optional<BatchId> rejected() const;

  /// Nothing is sent any more, and what comes under the same producer id and epoch is forgotten, as is
  /// all that is here. Returns what of it is acknowledged, and was not taken for standing behind one
  /// that is not.
  std::vector<BatchId> halt();

  [[nodiscard]] std::optional<BatchId> oldest() const;
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] bool halted() const { return halted_; }

 private:
  enum class State { kWaiting, kInFlight, kAcked, kFailed, kRejected };
  struct Entry {
    SealedBatch batch;
    State state = State::kWaiting;
  };

  [[nodiscard]] std::size_t next_waiting() const;

  const std::size_t window_max_;
  std::deque<Entry> entries_;
  std::size_t in_flight_ = 0;
  bool recovering_ = false;  // something failed: let the flight land
  bool probing_ = true;      // one at a time, until an acknowledgement
  bool halted_ = false;
  ProducerId producer_id_ = kNoProducerId;  // of the last batch pushed
  ProducerEpoch epoch_ = kNoProducerEpoch;
};

}  // namespace tributary
