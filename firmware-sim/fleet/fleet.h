#pragma once
// Many devices that publish readings over MQTT at a steady rate, and keep a ledger of what was acknowledged.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/env/clock.h"

namespace tributary {

struct FleetOptions {
  std::string mqtt_url = "tcp://127.0.0.1:1883";
  int mqtt_version = 5;  // 5, or 3 for 3.1.1
  int devices = 10;
  int connections = 300;  // at most; more devices than this share connections
  int qos = 1;
  int in_flight = 10;     // per device, at QoS 1 and 2
  double rate = 1;        // readings per second and device; 0: as fast as the in-flight window allows
  Duration run_for{};     // from the moment that all connections stand; 0: until stop()
  std::int64_t count = 0; // readings per device, none skipped; 0: no limit
  std::string topic = "sensors/{device}/env";
  std::string device_prefix = "dev-";
  std::size_t payload_bytes = 0;  // padded up to; 0: as it comes
  std::uint64_t seed = 0;
  std::string ledger_path;        // empty: none
  std::string replay_path;        // empty: simulated values
  Duration connect_timeout{};     // 0: tries for ever
  Duration drain_timeout = std::chrono::seconds(10);
};

struct FleetStats {
  std::int64_t published = 0;     // handed to MQTT
  std::int64_t acked = 0;         // PUBACK or PUBCOMP has come; at QoS 0 always 0
  std::int64_t unheard = 0;       // it said that nobody is subscribed: dropped, so not acked and in no ledger
  std::int64_t refused = 0;       // acknowledged with a failure code
  std::int64_t unknown = 0;       // the MQTT broker lost the session while they were in flight
  std::int64_t resent = 0;        // of acked: a connection broke while they were in flight
  std::int64_t skipped = 0;       // measurements that a device could not publish in time and never took
  std::int64_t in_flight = 0;
  std::int64_t payload_bytes = 0; // of published
  int devices = 0;
  int connected = 0;              // connections that stand
  int connections = 0;
  std::int64_t connections_lost = 0;
  std::int64_t malformed = 0;     // records of the recording
  double seconds = 0;             // since all connections stood; 0 before
  std::int64_t ack_p50_us = 0, ack_p99_us = 0;  // publish to acknowledgement
};

/// One run of a fleet. Everything happens on the thread that calls run(); stop() may come from any.
///
/// - A reading gets its seq (from 1, without gaps) when it is published, and a device publishes seq n + 1 only
///   after seq n. Its "ts" is the time of publication.
/// - A device that cannot publish (no connection, window full) owes at most 1,000 readings, which it publishes
///   when it can; further ones are skipped and counted.
/// - A published (device, seq) is never published again as a new MQTT message. After a lost connection
///   the same message goes out with DUP (mqtt::PublisherSession); at QoS 1 an MQTT broker may hand it on
///   twice, which the ledger marks as `resent`. If the broker has lost the session too, the readings in
///   flight are `unknown`, and in no ledger.
class Fleet {
 public:
  /// Checks everything that can be checked without a broker; opens the recording and creates the ledger.
  [[nodiscard]] static Result<std::unique_ptr<Fleet>> create(FleetOptions options);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// Called once a second during run(), on its thread.
  void on_progress(std::function<void(const FleetStats&)> callback);

  /// Connects, publishes until the time, the count or stop() ends it, waits for outstanding acknowledgements
  /// up to drain_timeout, disconnects, closes the ledger. Once.
  /// kTimeout: not all connections stood within connect_timeout. kTooLarge: the MQTT broker has said that it
  /// takes no packet as large as a reading's. Another error: the ledger or the recording
  /// failed; what was committed before is in the ledger.
  [[nodiscard]] Result<FleetStats> run();

  /// Ends publishing; run() returns when the rest is done. A second call does not wait for acknowledgements.
  /// Thread-safe; also before run().
  void stop();

 private:
  struct Impl;
  explicit Fleet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
