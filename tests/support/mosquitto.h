#pragma once
// A Mosquitto of the test's own.

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/process.h"

namespace tributary::test {

/// Runs on a free loopback port with a configuration in `folder`: anonymous clients, no persistence, queues
/// without bound. Accepts connections when start() returns.
class Mosquitto {
 public:
  enum class Start { kNow, kLater };
  /// `extra_configuration`: further lines for mosquitto.conf.
  explicit Mosquitto(const std::string& folder, Start start_at = Start::kNow,
                     const std::string& extra_configuration = {});
  Mosquitto(const std::string& folder, const std::string& extra_configuration)
      : Mosquitto(folder, Start::kNow, extra_configuration) {}

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const;
  void start();
  /// kill -9: its queues and sessions, held in memory, are lost.
  void kill();
  [[nodiscard]] Process& process() { return *process_; }

 private:
  const std::string folder_;
  const std::uint16_t port_;
  std::optional<Process> process_;
};

}  // namespace tributary::test
