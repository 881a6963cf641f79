#pragma once
// Kafka itself: its broker and its tools, run from the jars that tests/compat/clients/kafka names.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/compat/fetched_program.h"
#include "tests/support/process.h"

namespace tributary::test {

class KafkaJars {
 public:
  /// Why there are none, or empty. The first call fetches.
  [[nodiscard]] static const std::string& why_not();
  /// "java … main-class args…"
  [[nodiscard]] static std::vector<std::string> command(const std::string& main_class, std::vector<std::string> args,
                                                        const std::string& heap = "256m");
  [[nodiscard]] static const FetchedProgram& program();
  static constexpr const char* kVersion = "4.0.0";
};

/// One broker that is its own controller (KRaft), on free loopback ports; data in `folder`/data, which outlives it.
class RealKafka {
 public:
  /// `heap`: as in -Xmx.
  explicit RealKafka(std::string folder, std::string heap = "256m");

  /// Formats the storage before the first start. False if it does not answer in time.
  [[nodiscard]] bool start_ready();
  /// A clean stop; false if it had to be killed.
  [[nodiscard]] bool stop();
  void kill() { process_->kill(); }

  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  std::string properties;  // further lines of server.properties, for the next start

  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::string data() const { return folder_ + "/data"; }
  [[nodiscard]] std::string log() const { return read_whole_file(folder_ + "/log"); }

 private:
  [[nodiscard]] std::string properties_path() const { return folder_ + "/server.properties"; }
  [[nodiscard]] bool format();

  const std::string folder_;
  const std::string heap_;
  const std::uint16_t port_;
  const std::uint16_t controller_port_;
  std::optional<Process> process_;
};

}  // namespace tributary::test
