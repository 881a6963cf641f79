#pragma once
// The uplink: gets sealed batches to their partitions' leaders over nng, whatever happens on the way.

#include <memory>
#include <string>
#include <vector>

#include "common/env/clock.h"
#include "gateway/uplink/uplink_port.h"

namespace tributary {

struct UplinkOptions {
  std::vector<std::string> cluster;        // "tcp://host:port" of some brokers' nng listeners; not empty
  std::string client_id = "tributary-gateway";
  bool create_topics = true;
  Duration request_timeout = std::chrono::seconds(30);   // of one Produce request
  Duration probe_timeout = std::chrono::seconds(4);      // of Metadata and CreateTopics
  std::size_t request_bytes_max = 1u << 20;    // batches of several partitions in one request
  std::size_t in_flight_bytes_max = 8u << 20;  // sent and unanswered; one batch always may be
  Duration retry_min = std::chrono::milliseconds(100);
  Duration retry_max = std::chrono::seconds(5);
};

/// An UplinkPort with one thread of its own, on which all events are called, and one connection to each
/// broker it has to do with. Trouble with the cluster is logged once a minute.
class Uplink final : public UplinkPort {
 public:
  /// Connects in the background. `events` must outlive it, or stop(). kInvalidArgument for an address
  /// that is none.
  [[nodiscard]] static Result<std::unique_ptr<Uplink>> start(UplinkOptions options, UplinkEvents& events);
  /// stop().
  ~Uplink() override;

  void want_topic(const std::string& topic, std::int32_t partitions) override;
  void offer(SealedBatch batch) override;
  void stop() override;

 private:
  class Driver;
  explicit Uplink(std::unique_ptr<Driver> driver);
  std::unique_ptr<Driver> driver_;
};

}  // namespace tributary
