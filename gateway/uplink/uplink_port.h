#pragma once
// The seam between the pipeline, which decides what is sent and in which order, and the uplink, which
// gets it to the partition's leader whatever happens on the way.

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "gateway/buffer/sealed_batch.h"

namespace tributary {

/// What the uplink tells. Called on the uplink's threads, never from inside a call to UplinkPort; the
/// implementation only takes note, so it neither blocks nor calls back.
class UplinkEvents {
 public:
  virtual ~UplinkEvents() = default;

  /// The leader has answered acks=all for this batch, or has recognised it as one it already had
  /// (a duplicate sequence). Exactly once for each offered batch that is not
  /// rejected, and for one partition in the order of the offers.
  virtual void on_acked(BatchId id) = 0;

  /// How many partitions a wanted topic has: when first learnt on a connection, and at every change.
  /// Comes before anything offered for that topic can have been sent on this connection.
  virtual void on_partition_count(const std::string& topic, std::int32_t count) = 0;

  /// True when the cluster answers requests, false when it does not any more. Starts as false.
  virtual void on_reachable(bool reachable) = 0;

  /// The leader refuses this batch for good: too large for the topic, an invalid record, a codec that it
  /// does not take. All before it of its partition are acknowledged. The uplink has forgotten it and
  /// all that was, or still is, offered after it for the partition under the same producer id and
  /// epoch, for they stand behind a gap in the sequences; none of that is in the log or in flight. What
  /// is to follow must be offered anew, under another epoch.
  virtual void on_rejected(BatchId id, const std::string& reason) {
    (void)id;
    (void)reason;
  }

  /// The cluster knows a higher epoch of our producer id: another gateway uses this identity (a copied
  /// data folder), or this one was put back to an older state. Nothing is sent any more under what was
  /// offered so far; an offer with another producer id or epoch for a partition lifts that for it.
  virtual void on_fenced(const std::string& reason) { (void)reason; }
};

/// All calls from one thread (the pipeline's). None waits for the network.
class UplinkPort {
 public:
  virtual ~UplinkPort() = default;

  /// Keeps the topic's metadata. A topic that does not exist is created with `partitions` partitions
  /// where the cluster allows it. Until it exists the uplink keeps asking, and says so once a minute.
  virtual void want_topic(const std::string& topic, std::int32_t partitions) = 0;

  /// Takes a batch and sends it until it is acknowledged, for ever: a lost connection, a moved leader,
  /// a timeout or an error code are retried with jittered back-off, with the same bytes.
  ///
  /// The caller keeps to this, so that the uplink need not: for one partition batches come in the
  /// order in which they must be in the log, at most kOfferedMax of them are unacknowledged at a time
  /// (what a leader remembers of a producer, KIP-98), and when the producer id or the epoch changes,
  /// all batches before are acknowledged. Producing in that order with one or several requests in
  /// flight, and resending from the first unacknowledged one after a failure, is the uplink's part.
  virtual void offer(SealedBatch batch) = 0;

  static constexpr std::size_t kOfferedMax = 5;

  /// Forgets what was offered and is unacknowledged, and closes the connections. No event comes after
  /// it has returned. The forgotten batches may or may not be in the log; offered again later with
  /// the same bytes they are recognised there.
  virtual void stop() = 0;
};

}  // namespace tributary
