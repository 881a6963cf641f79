#pragma once
// The buffer: sealed batches on flash while the cluster is away, and the gateway's identity.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "gateway/buffer/sealed_batch.h"

namespace tributary {

struct FlashBufferOptions {
  std::string folder;  // created if missing
};

/// Who this gateway is. The gateway id never changes; producer id and epoch stamp batches; the nonce
/// names the intake (on tmpfs) that goes with it.
struct GatewayIdentity {
  std::uint64_t gateway_id = 0;
  ProducerId producer_id = kNoProducerId;  // random in [2^61, 2^62): never a broker-allocated one
  ProducerEpoch epoch{0};
  std::uint64_t intake_nonce = 0;
};

/// How keys are mapped to partitions of a topic: (murmur2(key) % hashed) % existing. Normally the two
/// are equal. When the cluster's count turns out to differ from what was assumed, `hashed` stays what it
/// was until the backlog has been sent, so that a device's readings stay in one partition, in order.
struct PartitionMapping {
  std::int32_t hashed = 1;
  std::int32_t existing = 1;
  friend bool operator==(const PartitionMapping&, const PartitionMapping&) = default;
};

/// One SQLite database `buffer.db` in a folder that is locked while open. One thread (the pipeline's),
/// but for used_bytes and file_bytes.
///
/// Durability: what a call has committed when it returns success survives a power cut. A call that
/// never returned, or failed, has happened wholly or not at all, and after a failure the next call
/// works on the state before it.
class FlashBuffer {
 public:
  /// Opens or creates (with a new identity: gateway_id, producer_id and intake_nonce drawn from the
  /// system). kLocked if another process has the folder, kUnsupported for another format version,
  /// kCorrupt, naming the file and the way out, if it is no readable database. Never removes anything.
  [[nodiscard]] static Result<std::unique_ptr<FlashBuffer>> open(FlashBufferOptions options);
  ~FlashBuffer();

  [[nodiscard]] const GatewayIdentity& identity() const;
  /// True if open() created the identity: nothing was ever stamped with it.
  [[nodiscard]] bool fresh() const;

  /// The intake was lost: a higher epoch and a new nonce, so that sequences may begin at 0 again. An
  /// epoch that cannot grow any more gives way to a new producer id with epoch 0.
  [[nodiscard]] Result<> begin_epoch();

  /// Adds batches; for one partition they come in ascending order of id, above all that are there.
  /// One transaction, synchronous.
  /// kNoSpace if the disk is full: nothing was added, and it may be tried again.
  [[nodiscard]] Result<> add(const std::vector<SealedBatch>& batches);

  /// Removes acknowledged batches; unknown ids are ignored. One transaction; several, the first ids first,
  /// if the disk is too full for one's journal. A batch whose pages are damaged cannot be removed: it is
  /// marked, and no other call sees it any more, but its pages stay in use.
  [[nodiscard]] Result<> remove(const std::vector<BatchId>& ids);

  /// Visits infos with ids above `after`, ascending, at most `rows_max`, until `visit` returns false.
  /// Returns the last id visited, or `after`. Costs no read of the batches' bytes.
  [[nodiscard]] Result<BatchId> scan(BatchId after, std::size_t rows_max,
                                     const std::function<bool(const SealedBatchInfo&)>& visit) const;

  /// The batch, stamped as scan() shows it. kNotFound; kCorrupt if its CRC does not match, its pages are
  /// damaged, or the disk does not read them.
  [[nodiscard]] Result<SealedBatch> load(BatchId id) const;

  /// Every partition that ever had a batch here.
  [[nodiscard]] std::vector<TopicPartition> destinations() const;
  /// 0 if it is empty.
  [[nodiscard]] BatchId first_id() const;
  [[nodiscard]] BatchId last_id() const;
  /// No new batch may have this id or a smaller one: not below last_id().
  [[nodiscard]] BatchId last_id_taken() const;

  // ---- Partitions -----------------------------------------------------------------------------------

  /// Nothing before it was ever set.
  [[nodiscard]] std::optional<PartitionMapping> mapping(const std::string& topic) const;
  [[nodiscard]] Result<> set_mapping(const std::string& topic, PartitionMapping mapping);

  /// Removes batches that will never be in the log: damaged here, or refused by the cluster. What can be
  /// read of them is set aside before: how many. Then as remove(), but what is damaged is only marked.
  [[nodiscard]] Result<std::size_t> give_up(const std::vector<BatchId>& ids);
  /// Keeps a batch that is given up as a file `given-up-<id>.batch` beside the database. False if it
  /// cannot be written, or there are 100 such files. Durable when it returns true.
  bool set_aside(BatchId id, ByteView bytes);

  enum class Renewal { kEpoch, kProducer };
  /// Gives every batch of `topic`, in order, the partition (its partition % mapping.existing) and the
  /// next sequence of that partition from 0 under a new epoch (as begin_epoch() would begin it, but with
  /// the same nonce) or under a new producer id, and sets the mapping: one transaction, which does not
  /// rewrite the batches. None of them may be in flight. For partitions that went away, for a gap in the
  /// sequences, and for a producer that is fenced.
  [[nodiscard]] Result<> rehome(const std::string& topic, PartitionMapping mapping,
                                Renewal renewal = Renewal::kEpoch);
  /// For each partition, the sequence after its newest batch that rehome() stamped with the current
  /// epoch: what an intake that is bound anew goes on with.
  [[nodiscard]] Result<std::vector<NextSequence>> continuations() const;

  // ---- Size ----------------------------------------------------------------------------------------

  /// Pages in use, in bytes; what the cap is compared with. Any thread.
  [[nodiscard]] std::size_t used_bytes() const;
  /// The file's size; above used_bytes() by what give_space_back() can return. Any thread.
  [[nodiscard]] std::size_t file_bytes() const;
  /// The oldest batch's oldest reading, by the wall clock; nothing if it is empty.
  [[nodiscard]] std::optional<WallMs> oldest_received_ms() const;

  /// Shrinks the file once most of it is free, a bounded step at a time; returns whether there is more
  /// to give. For quiet moments.
  [[nodiscard]] Result<bool> give_space_back();

 private:
  struct State;
  explicit FlashBuffer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tributary
