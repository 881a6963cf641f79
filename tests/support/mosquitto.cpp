#include "tests/support/mosquitto.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "common/base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/network.h"

namespace tributary::test {
namespace {

/// Debian keeps it in /usr/sbin, which is not on everybody's path.
std::string executable() {
  return std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
}

}  // namespace

Mosquitto::Mosquitto(const std::string& folder, Start start_at, const std::string& extra_configuration)
    : folder_(folder), port_(free_port()) {
  std::ofstream(folder_ + "/mosquitto.conf")
      << fmt::format("listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                     "max_queued_messages 0\nlog_dest stderr\nlog_type error\nlog_type warning\n"
                     "max_queued_bytes 0\nlog_type notice\n"
                     // Else it changes its user as root, and with that forgets to end with the test.
                     "user root\n{}\n",
                     port_, extra_configuration);
  if (start_at == Start::kNow) start();
}

std::string Mosquitto::url() const { return fmt::format("tcp://127.0.0.1:{}", port_); }

void Mosquitto::start() {
  Process::Options options;
  options.command = {executable(), "-c", folder_ + "/mosquitto.conf"};
  options.output_path = options.error_path = folder_ + "/mosquitto.log";
  process_.emplace(options);
  const bool up = eventually(std::chrono::seconds(20),
                             [&] { return accepts_connections(port_) || !process_->running(); });
  CHECK(up && process_->running(), "Mosquitto does not start:\n{}",
        read_whole_file(folder_ + "/mosquitto.log"));
}

void Mosquitto::kill() { process_->kill(); }

}  // namespace tributary::test
