#pragma once
// What the uplink decides, without a clock, a thread, a socket or randomness of its own.
// Internal to the folder and its tests.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/env/clock.h"
#include "common/env/random.h"
#include "common/protocol/error_code.h"
#include "gateway/uplink/produce_queue.h"
#include "gateway/uplink/uplink_port.h"

namespace tributary {

/// One request under way; answered once by one of the core's *_done calls.
using UplinkRequestId = std::uint64_t;

struct UplinkCoreOptions {
  bool create_topics = true;
  std::size_t window_max = 5;  // KIP-98: what a leader remembers
  std::size_t request_bytes_max = 1u << 20;
  std::size_t in_flight_bytes_max = 8u << 20;
  Duration retry_min = std::chrono::milliseconds(100);
  Duration retry_max = std::chrono::seconds(5);
  Duration metadata_max_age = std::chrono::seconds(30);
  Duration silence_max = std::chrono::seconds(3);  // of requests under way, before the cluster is asked if it lives
  Duration say_interval = std::chrono::minutes(1);
  int gap_tries = 10;  // of a batch that is out of order though all before it are acknowledged (KIP-360)
};

/// What the core wants done. Called from inside its methods; must not call back into it.
class UplinkActions {
 public:
  virtual ~UplinkActions() = default;
  /// At most one batch a partition. acks=-1.
  virtual void send_produce(UplinkRequestId id, BrokerId leader,
                            const std::vector<const SealedBatch*>& batches) = 0;
  /// Of these topics, to any broker, without creating them.
  virtual void send_metadata(UplinkRequestId id, const std::vector<std::string>& topics) = 0;
  virtual void send_create_topic(UplinkRequestId id, const std::string& topic, std::int32_t partitions) = 0;

  virtual void acked(BatchId id) = 0;
  virtual void setback(BatchId id, Setback setback, const std::string& reason) = 0;
  virtual void partition_count(const std::string& topic, std::int32_t count) = 0;
  virtual void reachable(bool reachable) = 0;
  /// For the log; already limited to one a say_interval of its kind.
  virtual void say(bool warning, const std::string& text) = 0;
};

struct ProduceOutcome {
  TopicPartition destination;
  ErrorCode error = ErrorCode::kNone;
  std::string message;
};

/// A topic as Metadata shows it.
struct TopicView {
  std::string name;
  ErrorCode error = ErrorCode::kNone;
  std::vector<BrokerId> leaders;  // by partition index; -1: none
};

/// The uplink's decisions. One thread; `now` never goes back.
///
/// While the cluster does not answer (unreachable, or a request was lost and no metadata has come since)
/// only Metadata is sent. Every request under way is answered by exactly one *_done call, in any order.
class UplinkCore {
 public:
  UplinkCore(UplinkCoreOptions options, UplinkActions& actions, Random& random, MonoTime now);

  // What has happened. Nothing is sent before the next tick(), which may follow a whole group of these.
  void want_topic(MonoTime now, const std::string& topic, std::int32_t partitions);
  void offer(MonoTime now, SealedBatch batch);

  /// A connection came up or went down: ask the cluster now.
  void connection_changed(MonoTime now);

  void produce_done(MonoTime now, UplinkRequestId id, const Result<std::vector<ProduceOutcome>>& result);
  void metadata_done(MonoTime now, UplinkRequestId id, const Result<std::vector<TopicView>>& result);
  void create_topic_done(MonoTime now, UplinkRequestId id, const Result<ErrorCode>& result);

  /// Call at next_time() at the latest.
  void tick(MonoTime now);
  /// Valid after a tick.
  [[nodiscard]] MonoTime next_time() const;

  [[nodiscard]] std::size_t unacknowledged() const;

 private:
  struct Backoff {
    int failures = 0;
    MonoTime until{};
  };
  struct Partition {
    TopicPartition destination;
    ProduceQueue queue;
    Backoff backoff;
    bool stale_leader = false;  // wait for metadata newer than what sent us there
    int gaps = 0;               // times in a row that the oldest batch, the last to land, was out of order
    struct Verdict {
      Setback setback;
      std::string reason;
    };
    std::map<BatchId, Verdict> verdicts;  // on rejected batches; given back once all before are acknowledged
  };
  struct Topic {
    std::int32_t wanted_partitions = 1;
    bool announced = false;  // its count, since the cluster became reachable
    std::vector<BrokerId> leaders;
    Backoff creation;
    bool creating = false;
  };
  struct Flight {
    struct Item {
      TopicPartition destination;
      BatchId id{0};
      std::int32_t record_count = 0;
    };
    std::vector<Item> items;
    std::size_t bytes = 0;
    MonoTime sent_at{};
  };

  void pump(MonoTime now);
  bool send_one_request(MonoTime now);
  [[nodiscard]] BrokerId leader_of(const Partition& partition) const;
  [[nodiscard]] bool ready(MonoTime now, const Partition& partition) const;
  void settle(MonoTime now, Partition& partition, const Flight::Item& item, const ProduceOutcome& outcome);
  void settle_gap(Partition& partition, BatchId id, const std::string& reason);
  void finish(Partition& partition);
  void give_back_if_gone(Partition& partition);
  void give_back(Partition& partition, BatchId id, Setback setback, const std::string& reason);
  void learn_topic(MonoTime now, const TopicView& view);
  void ask_metadata(MonoTime not_before);
  void create_topic(MonoTime now, const std::string& name, Topic& topic);
  void alive(MonoTime now);
  void set_reachable(bool reachable);
  void delay(MonoTime now, Backoff& backoff, Duration max);
  void say(MonoTime now, const std::string& kind, const std::string& text);

  const UplinkCoreOptions options_;
  UplinkActions& actions_;
  Random& random_;

  std::map<std::string, Topic> topics_;
  std::map<TopicPartition, std::unique_ptr<Partition>> partitions_;
  MonoTime now_{};       // of the last tick
  TopicPartition turn_;  // requests start with the partition after it
  std::map<UplinkRequestId, Flight> flights_;
  std::map<UplinkRequestId, std::string> creations_;
  std::size_t in_flight_bytes_ = 0;
  UplinkRequestId next_request_ = 1;

  UplinkRequestId metadata_request_ = 0;  // 0: none is under way
  MonoTime metadata_at_{};                // the next, unless asked for earlier
  bool metadata_again_ = false;           // asked for while one was under way
  Backoff metadata_backoff_;
  bool reachable_ = false;
  bool suspended_ = true;   // no Produce until metadata has come
  MonoTime last_answer_{};
  MonoTime last_probe_{};
  std::map<std::string, MonoTime> said_;  // by kind, when last
};

}  // namespace tributary
