#pragma once
// The gateway's parts, put together.

#include <memory>

#include "common/base/result.h"
#include "gateway/app/options.h"

namespace tributary {

/// Threads: MQTT's receive thread stores (Receiver), the pipeline's moves (Pipeline), the uplink's sends, and
/// a few that wait (MQTT control, HTTP). An intake that fails ends the process with exit code 1: nothing
/// that is not stored may be acknowledged.
class Gateway {
 public:
  /// Opens everything and starts. The error says what to do; kInvalidArgument is a matter of configuration.
  [[nodiscard]] static Result<std::unique_ptr<Gateway>> start(const GatewayOptions& options);
  ~Gateway();

  /// Stops MQTT, sends or moves to flash what is left, and closes. At most stop_grace and a few seconds.
  void stop();

 private:
  struct Parts;
  explicit Gateway(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tributary
