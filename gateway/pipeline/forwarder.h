#pragma once
// The forwarder: moves readings from the intake through the sealer to the uplink, and by way of the flash
// buffer when the cluster does not take them in time.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/telemetry/log.h"
#include "gateway/buffer/flash_buffer.h"
#include "gateway/intake/intake.h"
#include "gateway/pipeline/gateway_metrics.h"
#include "gateway/pipeline/pressure.h"
#include "gateway/pipeline/routes.h"
#include "gateway/sealer/sealer.h"
#include "gateway/uplink/uplink_port.h"

namespace tributary {

struct ForwarderOptions {
  SealerOptions sealer;
  std::size_t intake_bytes_max = 64 << 20;   // these three: see PressureOptions
  std::size_t buffer_bytes_max = 1u << 30;
  std::size_t intake_room_min = 0;
  std::size_t in_flight_bytes_max = 4 << 20; // offered to the uplink; one batch always may be
};

/// A state machine without a thread: step() does what is to be done now and says when to call it again.
/// One thread. Everything that it decides upon is in the intake and the buffer: a forwarder that is
/// made anew over them goes on where this one was.
///
/// Invariants, for each partition: batches are offered in ascending order of id; those on flash have
/// smaller ids than those that wait on tmpfs; at most UplinkPort::kOfferedMax are offered and not yet
/// recorded as acknowledged; none is offered before the cluster's partition count of its topic is known
/// on this run, nor across a change of producer id or epoch.
class Forwarder {
 public:
  /// What is given must outlive it. `set_paused` is called when the MQTT broker is to queue (true), and
  /// when it need not any more: in begin(), in step(), and by who uses pressure(); see Pressure.
  Forwarder(ForwarderOptions options, const RouteTable& routes, Intake& intake, FlashBuffer& buffer,
            UplinkPort& uplink, const Clock& clock, GatewayMetrics& metrics,
            std::function<void(bool)> set_paused);
  ~Forwarder();

  /// Ties intake and buffer to one another, once, before the first step: after the loss of the intake a new
  /// epoch is begun. kInvalidArgument if the intake holds readings of another gateway.
  [[nodiscard]] Result<> begin();

  // What the uplink has told. Taken into account by the next step().
  void acked(BatchId id);
  void setback(BatchId id, Setback setback, std::string reason);
  void partition_count(const std::string& topic, std::int32_t count);
  void reachable(bool reachable);

  /// The time of the next step, unless something happens before: never later than a second from now. An
  /// error is the intake's: nothing can go on without it. Trouble with the flash buffer is not an
  /// error: it is said once a minute, and tried again.
  [[nodiscard]] Result<MonoTime> step();

  [[nodiscard]] Pressure& pressure() { return pressure_; }

  /// From now on step() seals at once.
  void hurry() { hurrying_ = true; }
  /// Nothing is left that is neither acknowledged nor on flash.
  [[nodiscard]] bool drained() const;
  /// Seals all that is left and moves it to flash, as far as that takes it.
  [[nodiscard]] Result<> finish();

  /// How much must be stored before a step is worth while.
  [[nodiscard]] std::size_t wake_bytes() const;

 private:
  struct Topic;
  struct Partition;
  struct TmpfsBatch;

  Result<> tie();
  Result<> reconcile();
  Topic& topic_of(std::string_view name);
  Partition& partition_of(const TopicPartition& destination);

  // Readings to batches.
  Result<> read_and_seal(MonoTime now);
  Result<> seal();
  [[nodiscard]] UplinkLoad load();
  void persist_mapping(Topic& topic);

  // Batches to the uplink, and acknowledgements back.
  Result<> offer();
  Result<bool> offer_one(Partition& partition);
  Result<std::optional<SealedBatch>> next_batch(Partition& partition);
  Result<std::optional<SealedBatch>> next_from_flash(Partition& partition);
  void read_failed(Partition& partition, const Error& error);
  Result<bool> may_follow(const Partition& partition, const SealedBatchInfo& info);
  void refill(Partition& partition);
  Result<> apply_acks(MonoTime now);

  // Batches to flash, and away from it.
  Result<> spill(MonoTime now, bool all);
  Result<bool> spill_in_chunks(const std::vector<BatchId>& ids);
  Result<bool> spill_chunk(const std::vector<BatchId>& ids);
  [[nodiscard]] std::vector<BatchId> due_for_spill(MonoTime now, bool all) const;
  Result<> remove_acked_from_flash(MonoTime now, bool at_once);
  [[nodiscard]] bool flash_drained() const;
  [[nodiscard]] MonoTime buffer_failed(const char* what, const Error& error);

  // Topics whose partitions are not what was assumed, batches that are given up, a fenced producer.
  Result<> settle_topics();
  Result<bool> rehome(Topic& topic);
  Result<bool> give_up(Topic& topic);
  void begin_anew(Topic& topic);
  void apply_setbacks();
  void give_up_refused(Partition& partition, BatchId id, const std::string& reason);
  void renew_producer(const Partition& fenced, const std::string& reason);
  void forget_in_flight(Partition& partition);
  [[nodiscard]] bool in_flight(const Topic& topic) const;
  [[nodiscard]] bool backlog(const Topic& topic) const;

  void housekeep(MonoTime now);
  [[nodiscard]] MonoTime next_time(MonoTime now);

  const ForwarderOptions options_;
  const RouteTable& routes_;
  Intake& intake_;
  FlashBuffer& buffer_;
  UplinkPort& uplink_;
  const Clock& clock_;
  GatewayMetrics& metrics_;
  Pressure pressure_;

  Sealer sealer_;
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
  std::map<TopicPartition, std::unique_ptr<Partition>> partitions_;
  std::vector<Partition*> order_;              // in which they are offered from
  std::size_t next_in_order_ = 0;
  std::map<BatchId, TmpfsBatch> tmpfs_;        // sealed, unacknowledged, not on flash
  std::map<BatchId, Partition*> in_flight_;
  std::set<BatchId> acked_on_flash_;           // to be removed there
  std::optional<MonoTime> acked_on_flash_since_;
  std::vector<BatchId> acks_;                  // told, not applied
  std::vector<std::tuple<BatchId, Setback, std::string>> setbacks_;  // told, not applied
  bool renew_producer_ = false;                // at the next rehome()
  std::size_t in_flight_bytes_ = 0;
  std::size_t cached_bytes_ = 0;               // of tmpfs_
  bool reachable_ = false;
  bool hurrying_ = false;
  bool more_to_scan_ = false;
  // Not before, after a failure. Each kind of access to flash has its own, so that none starves another.
  MonoTime spill_retry_{};
  MonoTime remove_retry_{};
  MonoTime shrink_retry_{};
  MonoTime next_housekeeping_{};
  OncePer buffer_trouble_{std::chrono::minutes(1)};
  OncePer intake_trouble_{std::chrono::minutes(1)};
  OncePer refused_{std::chrono::minutes(1)};
  OncePer shrunk_{std::chrono::minutes(1)};
};

}  // namespace tributary
