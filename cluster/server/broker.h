#pragma once
// A whole broker in one object: data folder, metadata, shards, flusher and both listeners.

#include <cstdint>
#include <memory>
#include <string>

#include "cluster/server/broker_options.h"
#include "common/base/result.h"
#include "common/env/clock.h"
#include "common/env/file_system.h"
#include "common/telemetry/http_server.h"

namespace tributary {

class MetricsRegistry;

/// Construct, start, stop, destroy: each once, on one thread. The other members are thread-safe.
/// One process may run several, on different data folders.
class Broker {
 public:
  /// `metrics`, `fs` and `clock` must outlive the broker. A registry serves one broker in its life.
  Broker(BrokerOptions options, MetricsRegistry& metrics, FileSystem& fs = posix_file_system(),
         const Clock& clock = system_clock());
  /// Without a stop() before it, leaves the data folder as kill -9 would.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// Opens the data folder (recovering what a crash left), then serves. Blocks meanwhile.
  /// The error names the thing: kLocked, kCorrupt, kUnsupported, kInvalidArgument, kIo, kNoSpace for the
  /// data folder; kUnavailable or kInvalidArgument, naming the address, for a listener. A partition whose log cannot be opened
  /// does not stop the others: it is offline (readiness()). After an error only the destructor may follow.
  [[nodiscard]] Result<> start();

  /// Closes the listeners, flushes, writes checkpoints and the mark of a clean stop. If it fails or never returns, the next
  /// start recovers; nothing acknowledged is lost.
  [[nodiscard]] Result<> stop();

  // After start().
  [[nodiscard]] std::uint16_t kafka_port() const;
  [[nodiscard]] std::uint16_t nng_port() const;
  [[nodiscard]] std::string nng_url() const;
  [[nodiscard]] std::string cluster_id() const;

  /// Not ok while starting or stopping, and from the moment a log is offline until its topic is deleted,
  /// naming it.
  [[nodiscard]] HealthReport readiness() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
