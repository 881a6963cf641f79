#pragma once
// Programs as child processes of a test.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tributary::test {

/// A child process. It is killed when this is destroyed, and by the kernel when the thread that spawned it
/// ends: nothing is left behind. One thread at a time, except signal() and pid().
class Process {
 public:
  struct Options {
    std::vector<std::string> command;          // a path, or a name that $PATH finds; then the arguments
    std::map<std::string, std::string> env;    // added to the test's own
    std::string output_path = "/dev/null";     // standard output, appended
    std::string error_path = "/dev/null";      // standard error, appended
    std::function<void()> before_exec;         // in the child: setrlimit and the like; async-signal-safe only
  };

  explicit Process(const Options& options);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running();
  void signal(int signal_number) const;
  /// SIGKILL, and waits until it is gone.
  void kill();
  /// SIGTERM, and waits; the exit code, or nothing if it has not ended in time (it then still runs).
  std::optional<int> terminate(std::chrono::milliseconds deadline = std::chrono::seconds(20));
  /// The exit code, or minus the number of the signal that ended it; nothing if it still runs at the deadline.
  std::optional<int> wait(std::chrono::milliseconds deadline);

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_;
};

struct Finished {
  int exit_code = -1;  // minus the signal's number; -1000 if it was killed at the deadline
  std::string output;
  std::string errors;
};
/// Runs to the end; killed at the deadline.
[[nodiscard]] Finished run(const std::vector<std::string>& command,
                           std::chrono::milliseconds deadline = std::chrono::seconds(30),
                           const std::map<std::string, std::string>& env = {});

/// The whole file; empty if it cannot be read.
[[nodiscard]] std::string read_whole_file(const std::string& path);

}  // namespace tributary::test
