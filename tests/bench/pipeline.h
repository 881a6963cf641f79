#pragma once
// Mosquitto, broker and gateway as processes in one folder, and fleets that publish to them.

#include <memory>
#include <string>

#include "common/base/result.h"
#include "tests/support/mosquitto.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::bench {

inline constexpr const char* kTopic = "readings";
inline constexpr const char* kFilter = "sensors/+/+";
inline constexpr const char* kReadingsIn = "tributary_gateway_readings_total";
inline constexpr const char* kReadingsAcked = "tributary_gateway_acked_readings_total";
inline constexpr const char* kReadingsSpilled = "tributary_gateway_spilled_readings_total";

class Pipeline {
 public:
  /// Everything runs, and the route's topic exists.
  [[nodiscard]] static Result<std::unique_ptr<Pipeline>> start(const std::string& parent);

  [[nodiscard]] test::Mosquitto& mosquitto() { return mosquitto_; }
  [[nodiscard]] test::Broker& broker() { return broker_; }
  [[nodiscard]] test::Gateway& gateway() { return gateway_; }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

  /// Until the gateway's counter `metric` has reached `count`; seconds waited.
  [[nodiscard]] Result<double> wait_for(const char* metric, double count, std::chrono::seconds deadline);

 private:
  explicit Pipeline(const std::string& parent);

  test::TempFolder folder_;
  test::Mosquitto mosquitto_;
  test::Broker broker_;
  test::Gateway gateway_;
};

/// What a fleet did, from its summary.
struct FleetRun {
  std::int64_t acked = 0;
  std::int64_t payload_bytes = 0;
  double seconds = 0;
};

/// tributary-fleet with these flags, to its end. An error if it fails or a reading was not acknowledged.
[[nodiscard]] Result<FleetRun> run_fleet(Pipeline& pipeline, std::vector<std::string> flags,
                                         std::chrono::seconds deadline);

/// 50 devices, 40 readings/s each: 2,000 readings/s for so long.
[[nodiscard]] std::vector<std::string> steady_load(int seconds);

/// Bytes that the process caused to be written to disks, not counting tmpfs (/proc/PID/io, write_bytes).
[[nodiscard]] Result<std::int64_t> disk_bytes_written(pid_t pid);
/// Resident memory (/proc/PID/status, VmRSS).
[[nodiscard]] Result<std::int64_t> resident_bytes(pid_t pid);

}  // namespace tributary::bench
