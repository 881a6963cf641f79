#pragma once
// Tributary's own programs as a test runs them: from $TRIBUTARY_BIN, on free loopback ports, each in a
// folder of its own. A folder and its ports outlive the process: kill it, start it, it is the same one.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace tributary::test {

/// The path of a program that the build made: "tributary-broker".
[[nodiscard]] std::string program_path(const std::string& name);

/// What the wrappers share: a command, a log in the folder, health over HTTP.
class Service {
 public:
  /// Starts; does not wait.
  void start();
  /// Starts, and waits until /readyz says yes; false at the deadline or if it ended.
  [[nodiscard]] bool start_ready(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  [[nodiscard]] bool wait_ready(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// /healthz answers, ready or not.
  [[nodiscard]] bool wait_alive(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  void kill();
  [[nodiscard]] std::optional<int> terminate(std::chrono::milliseconds deadline = std::chrono::seconds(20));
  [[nodiscard]] bool running() { return process_ && process_->running(); }
  [[nodiscard]] Process& process() { return *process_; }

  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
  /// Nothing while it does not answer.
  [[nodiscard]] std::optional<double> metric(const std::string& name,
                                             const std::map<std::string, std::string>& labels = {}) const;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// What it has logged, over all its runs.
  [[nodiscard]] std::string log() const;

  std::vector<std::string> extra_args;         // for the next start
  std::function<void()> before_exec;           // see Process::Options

 protected:
  Service(std::string program, std::string folder);
  [[nodiscard]] virtual std::vector<std::string> args() const = 0;
  virtual ~Service() = default;

  const std::string program_;
  const std::string folder_;
  const std::uint16_t http_port_;
  std::optional<Process> process_;
};

/// tributary-broker; data in `folder`/data.
class Broker final : public Service {
 public:
  explicit Broker(const std::string& folder);
  [[nodiscard]] std::uint16_t kafka_port() const { return kafka_port_; }
  [[nodiscard]] std::uint16_t nng_port() const { return nng_port_; }
  [[nodiscard]] std::string nng_url() const;
  [[nodiscard]] std::string data() const { return folder_ + "/data"; }

 private:
  [[nodiscard]] std::vector<std::string> args() const override;
  const std::uint16_t kafka_port_;
  const std::uint16_t nng_port_;
};

/// tributary-gateway; flash in `folder`/flash, the intake in a folder under /dev/shm that is removed with this.
class Gateway final : public Service {
 public:
  Gateway(const std::string& folder, std::string mqtt_url, std::string cluster_url,
          std::string route = "sensors/+/+ -> readings");
  ~Gateway() override;
  [[nodiscard]] std::string flash() const { return folder_ + "/flash"; }
  [[nodiscard]] const std::string& intake() const { return intake_; }

 private:
  [[nodiscard]] std::vector<std::string> args() const override;
  const std::string mqtt_url_;
  const std::string cluster_url_;
  const std::string route_;
  std::string intake_;
};

struct FleetOptions {
  std::string mqtt_url;
  std::string ledger;  // a path
  int devices = 20;
  double rate = 10;    // readings a second and device
  int seconds = 5;
  int qos = 1;
  std::uint64_t seed = 1;
  std::vector<std::string> extra_args;
};
/// tributary-fleet, running.
[[nodiscard]] Process start_fleet(const std::string& folder, const FleetOptions& options);

/// What `tributary verify` found.
struct Verdict {
  int exit_code = -1;
  std::int64_t acknowledged = 0;
  std::int64_t missing = -1;  // -1: it could not be told
  std::int64_t doubled = 0;
  std::int64_t out_of_order = 0;
  std::int64_t content_differs = 0;
  std::string text;  // what it printed, offenders and all
  /// 0 missing, 0 doubled, 0 out of order, nothing changed, and something was acknowledged at all.
  [[nodiscard]] bool ok() const { return exit_code == 0 && missing == 0 && acknowledged > 0; }
  /// What no waiting heals.
  [[nodiscard]] bool hopeless() const { return doubled + out_of_order + content_differs > 0; }
};
[[nodiscard]] Verdict verify(const Broker& broker, const std::string& ledger, const std::string& topic = "readings");

/// Verifies again and again until all is there, something is wrong for good, or the deadline has passed.
[[nodiscard]] Verdict verify_settled(const Broker& broker, const std::string& ledger,
                                     std::chrono::milliseconds deadline = std::chrono::seconds(60),
                                     const std::string& topic = "readings");

/// `tributary …` with the broker's address.
[[nodiscard]] Finished tributary(const Broker& broker, std::vector<std::string> args,
                                 std::chrono::milliseconds deadline = std::chrono::seconds(60));

/// From TRIBUTARY_SEED, or drawn; printed, so that a failed run can be repeated.
[[nodiscard]] std::uint64_t seed_of_test();
/// An integer from the environment.
[[nodiscard]] std::int64_t option_of_test(const std::string& variable, std::int64_t otherwise);

}  // namespace tributary::test
