#pragma once
// The intake: readings on tmpfs, from the moment before their PUBACK until the cluster or the flash
// buffer has them.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "gateway/buffer/sealed_batch.h"
#include "gateway/intake/reading.h"

namespace tributary {

struct IntakeOptions {
  std::string folder;           // created if missing; see find_intake_folder
  bool allow_disk = false;      // take a folder that is not on tmpfs, with a warning by the caller
  std::optional<std::string> boot_id;  // of the running system: read from /proc if not given
};

/// What MQTT has brought.
struct Arrival {
  ReadingView reading;
  Delivery delivery;
};
enum class StoreOutcome { kStored, kRedelivery };

/// Which producer stamps what this intake seals, and which flash folder it belongs to.
struct IntakeBinding {
  std::uint64_t nonce = 0;  // shared with the flash buffer's identity; a fresh intake has none
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  friend bool operator==(const IntakeBinding&, const IntakeBinding&) = default;
};

/// What is known at a glance; may be read on any thread.
struct IntakeLevel {
  std::size_t unsealed_bytes = 0;
  std::size_t unsealed_readings = 0;
  std::size_t sealed_bytes = 0;
  std::size_t sealed_batches = 0;
  [[nodiscard]] std::size_t bytes() const { return unsealed_bytes + sealed_bytes; }
};

/// One SQLite database `intake.db` in a folder that is locked while open. Two threads use it: MQTT's
/// (store, forget_deliveries) and the pipeline's (all else); a mutex orders them, and no call holds it
/// for longer than one transaction.
///
/// Durability: a call that returned success survives the end of the process at any later moment
/// (kill -9); nothing survives the end of the operating system, or, on a disk, nobody knows how much: what
/// is there may be seconds older than the end was. A call that never returned has happened wholly or not at all.
class Intake {
 public:
  /// Opens or creates. kLocked if another process has it, kUnsupported for another format version,
  /// kCorrupt if it is not a readable database, kInvalidArgument if the folder is not on tmpfs.
  [[nodiscard]] static Result<std::unique_ptr<Intake>> open(IntakeOptions options);
  ~Intake();

  // ---- MQTT's thread ------------------------------------------------------------------------------

  /// All in one commit, in this order; `outcomes` has one entry for each. kRedelivery (nothing stored) if `dup` is
  /// set and the newest reading with that packet id since the last forget_deliveries, unless it is settled, has the
  /// same topic, payload and properties. Any error means that none of them is
  /// stored, and none must be acknowledged.
  [[nodiscard]] Result<> store(std::span<const Arrival> arrivals, std::vector<StoreOutcome>& outcomes);
  /// One of them.
  [[nodiscard]] Result<StoreOutcome> store(const ReadingView& reading, Delivery delivery);

  /// The broker has taken the PUBACKs of the readings up to `up_to` that have these packet ids, and delivers them no
  /// more: what has such an id from now on is new. In memory; durable with the next store().
  void settle(std::span<const std::uint16_t> packet_ids, ReadingId up_to);

  /// Of the newest reading that is stored.
  [[nodiscard]] ReadingId newest() const;

  /// The MQTT broker has begun a new session: its packet ids say nothing about the former ones.
  [[nodiscard]] Result<> forget_deliveries();

  // ---- The pipeline's thread ----------------------------------------------------------------------

  /// Nothing for a fresh intake.
  [[nodiscard]] std::optional<IntakeBinding> binding() const;

  /// True if it was bound before the operating system started last, and not since: it may have sealed,
  /// with sequences that it would use again, what it does not know of any more.
  [[nodiscard]] bool is_of_former_boot() const;
  /// As if it had never been bound; the readings and batches that it holds stay. One transaction.
  [[nodiscard]] Result<> unbind();

  /// Binds to a producer, in this boot: what is sealed from now on carries its epoch, with these next sequences and
  /// 0 for every other partition, and ids above `last_id`. Batches that are sealed already keep their
  /// stamps.
  [[nodiscard]] Result<> bind(const IntakeBinding& binding, const std::vector<NextSequence>& sequences,
                              BatchId last_id);

  /// Calls `take` for the readings that it has not taken since open, in ascending order from
  /// sealed_up_to() + 1, at most `count_max` of them, until it returns false: that reading is not
  /// taken, and is the next call's first. Returns how many were taken. The views are valid during the
  /// call only; `take` must not call the intake.
  [[nodiscard]] Result<std::size_t> read(
      std::size_t count_max, const std::function<bool(ReadingId, const ReadingView&)>& take);

  /// The newest sealed reading; all above it are unsealed.
  [[nodiscard]] ReadingId sealed_up_to() const;

  /// The sequence and id that the next batch of this partition will have.
  [[nodiscard]] Sequence next_sequence(const TopicPartition& destination) const;
  [[nodiscard]] BatchId next_batch_id() const;

  /// Records that the readings up to `last` (inclusive) are in `batches`: one transaction that inserts
  /// them, advances their partitions' sequences, moves the cursor and drops those readings. The batches have the ids next_batch_id(), +1, ... and
  /// base sequences next_sequence(): CHECKed.
  [[nodiscard]] Result<> seal(ReadingId last, const std::vector<SealedBatch>& batches);

  /// The sealed batches' infos in ascending order of id: at start.
  [[nodiscard]] Result<std::vector<SealedBatchInfo>> sealed() const;
  /// kNotFound if it has been removed.
  [[nodiscard]] Result<SharedBytes> sealed_bytes(BatchId id) const;

  /// Removes sealed batches that the cluster has acknowledged or that are committed on flash; unknown
  /// ids are ignored. `acked_on_flash` are batches of the flash buffer that the cluster has
  /// acknowledged: noted here, without a flash write, until forget_acked_on_flash. One transaction.
  [[nodiscard]] Result<> remove_sealed(const std::vector<BatchId>& ids,
                                       const std::vector<BatchId>& acked_on_flash = {});
  [[nodiscard]] Result<std::vector<BatchId>> acked_on_flash() const;
  [[nodiscard]] Result<> forget_acked_on_flash(const std::vector<BatchId>& ids);

  /// Gives tmpfs space back that a former backlog took. For quiet moments.
  [[nodiscard]] Result<> give_space_back();

  /// The function given to set_wake is called once, on the storing thread, as soon as at least `bytes`
  /// (> 0) are stored that read() has not taken yet. False, and no call, if there are as many already.
  [[nodiscard]] bool wake_after(std::size_t bytes);
  /// Before MQTT starts.
  void set_wake(std::function<void()> wake);

  // ---- Any thread ---------------------------------------------------------------------------------

  [[nodiscard]] IntakeLevel level() const;

  /// How much more its file system and its own free pages take; others may write to that file system, too.
  [[nodiscard]] std::size_t room_bytes() const;

 private:
  struct State;
  explicit Intake(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// /run/tributary, $XDG_RUNTIME_DIR if it is set, /dev/shm: in the order of how sure they are to stay.
[[nodiscard]] std::vector<std::string> default_intake_roots();

/// Where the intake goes when nobody says: a subfolder of one of `roots`, of the first that has one with an
/// intake in it, else of the first that is a writable tmpfs (made if its parent allows); its name is derived from
/// the absolute `data_folder`, so that a restarted gateway finds it again and two gateways do not meet. kNotFound
/// if there is none.
[[nodiscard]] Result<std::string> find_intake_folder(
    const std::string& data_folder, const std::vector<std::string>& roots = default_intake_roots());

/// Why the folder may be removed while the machine is up, by systemd-logind when the last session of the user `uid`
/// ends; empty if it stays.
[[nodiscard]] std::string why_it_may_vanish(const std::string& folder, std::uint32_t uid);

/// What the marks of back-pressure may be for an intake in a folder. Everything that a gateway has on
/// its tmpfs beside what IntakeLevel counts must fit as well: WAL, SQLite's pages, packet ids (2 MiB at most).
struct IntakeBounds {
  std::size_t bytes_max = 0;  // `asked`, or 60 % of the file system's size if that is less
  std::size_t room_min = 0;   // an eighth of that size, 16 MiB at most
};
/// Of an existing folder (statvfs).
[[nodiscard]] Result<IntakeBounds> intake_bounds(const std::string& folder, std::size_t asked);

/// Whether an existing folder lies on tmpfs or ramfs (statfs).
[[nodiscard]] Result<bool> is_on_tmpfs(const std::string& folder);

}  // namespace tributary
