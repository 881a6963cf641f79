#pragma once
// The seam between the pipeline, which decides what is sent and in which order, and the uplink, which
// gets it to the partition's leader whatever happens on the way.

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "gateway/buffer/sealed_batch.h"

namespace tributary {

/// Why the uplink gives batches back.
enum class Setback {
  kRefused,  // the leader refuses this one for good: too large by itself, an invalid record
  kFenced,   // the cluster knows a higher epoch of its producer id: another gateway uses this identity
             // (a copied data folder), or this one was put back to an older state
  kGap,      // the log ends before its sequence: the cluster has lost what it had acknowledged, or the
             // topic was made anew; also if the partition is gone
};

/// What the uplink tells. Called on the uplink's threads, never from inside a call to UplinkPort; the
/// implementation only takes note, so it neither blocks nor calls back.
class UplinkEvents {
 public:
  virtual ~UplinkEvents() = default;

  /// The leader has answered acks=all for this batch, or has recognised it as one it already had
  /// (a duplicate sequence). Exactly once for each offered batch that is not given back, and for one
  /// partition in the order of the offers; but see on_setback.
  virtual void on_acked(BatchId id) = 0;

  /// How many partitions a wanted topic has: when first learnt on a connection, and at every change.
  /// Comes before anything offered for that topic can have been sent on this connection.
  virtual void on_partition_count(const std::string& topic, std::int32_t count) = 0;

  /// True when the cluster answers requests, false when it does not any more. Starts as false.
  virtual void on_reachable(bool reachable) = 0;

  /// The batch is not in the log, and cannot get there under its producer id and epoch. All before it of
  /// its partition are acknowledged; so are, just before this, those behind it that are in the log all
  /// the same. The uplink has forgotten it and all else that was, or still is, offered for the partition
  /// under the same producer id and epoch; none of that is in the log or in flight. What is to follow
  /// must be offered anew, under another epoch, or if it is fenced under another producer id. Other
  /// partitions go on: each is acknowledged, or given back by itself.
  virtual void on_setback(BatchId id, Setback setback, const std::string& reason) {
    (void)id;
    (void)setback;
    (void)reason;
  }
};

/// All calls from one thread (the pipeline's). None waits for the network.
class UplinkPort {
 public:
  virtual ~UplinkPort() = default;

  /// Keeps the topic's metadata. A topic that does not exist is created with `partitions` partitions
  /// where the cluster allows it. Until it exists the uplink keeps asking, and says so once a minute.
  virtual void want_topic(const std::string& topic, std::int32_t partitions) = 0;

  /// Takes a batch and sends it until it is acknowledged, for ever: a lost connection, a moved leader,
  /// a timeout or an error code are retried with jittered back-off, with the same bytes. So is what
  /// someone can mend at the cluster: a limit below the size of a batch of several records, a codec that
  /// it does not take. For what cannot be mended see on_setback.
  ///
  /// The caller keeps to this, so that the uplink need not: for one partition batches come in the
  /// order in which they must be in the log, at most kOfferedMax of them are unacknowledged at a time
  /// (what a leader remembers of a producer, KIP-98), and when the producer id or the epoch changes,
  /// all batches before are acknowledged or given back. Producing in that order with one or several requests in
  /// flight, and resending from the first unacknowledged one after a failure, is the uplink's part.
  virtual void offer(SealedBatch batch) = 0;

  static constexpr std::size_t kOfferedMax = 5;

  /// Forgets what was offered and is unacknowledged, and closes the connections. No event comes after
  /// it has returned. The forgotten batches may or may not be in the log; offered again later with
  /// the same bytes they are recognised there.
  virtual void stop() = 0;
};

}  // namespace tributary
