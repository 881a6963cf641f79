#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "common/base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string entry(*at);
    if (!added.contains(entry.substr(0, entry.find('=')))) merged.push_back(entry);
  }
  for (const auto& [name, value] : added) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

int open_output(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  CHECK(descriptor >= 0, "cannot open {}: errno {}", path, errno);
  return descriptor;
}

}  // namespace

Process::Process(const Options& options) {
  CHECK(!options.command.empty(), "a command");
  auto command = options.command;
  auto environment = merged_environment(options.env);
  const auto argv = pointers(command);
  const auto envp = pointers(environment);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int output = open_output(options.output_path);
  const int errors = open_output(options.error_path);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  CHECK(pid_ >= 0, "fork: errno {}", errno);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(errors, 2);
    if (options.before_exec) options.before_exec();
    ::execvpe(argv[0], argv.data(), envp.data());
    constexpr char kMessage[] = "cannot execute\n";
    [[maybe_unused]] const auto written = ::write(2, kMessage, sizeof kMessage - 1);
    ::_exit(127);
  }
  for (const int descriptor : {input, output, errors}) ::close(descriptor);
}

Process::~Process() { kill(); }

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_(std::exchange(other.exit_, std::nullopt)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    exit_ = std::exchange(other.exit_, std::nullopt);
  }
  return *this;
}

bool Process::running() { return pid_ > 0 && !wait(std::chrono::milliseconds(0)); }

void Process::signal(int signal_number) const {
  // After the wait the number may belong to somebody else.
  if (pid_ > 0 && !exit_) ::kill(pid_, signal_number);
}

void Process::kill() {
  if (pid_ <= 0 || exit_) return;
  signal(SIGKILL);
  (void)wait(std::chrono::hours(1));
}

std::optional<int> Process::terminate(std::chrono::milliseconds deadline) {
  signal(SIGTERM);
  return wait(deadline);
}

std::optional<int> Process::wait(std::chrono::milliseconds deadline) {
  if (pid_ <= 0) return std::nullopt;
  const bool ended = exit_ || eventually(
      deadline,
      [this] {
        int status = 0;
        const pid_t got = ::waitpid(pid_, &status, WNOHANG);
        CHECK(got >= 0 || errno == EINTR, "waitpid({}): errno {}", pid_, errno);
        if (got == pid_) exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        return got == pid_;
      },
      std::chrono::milliseconds(2));
  return ended ? exit_ : std::nullopt;
}

Finished run(const std::vector<std::string>& command, std::chrono::milliseconds deadline,
             const std::map<std::string, std::string>& env) {
  const TempFolder folder;
  Process process({command, env, folder / "out", folder / "err", {}});
  const auto code = process.wait(deadline);
  process.kill();
  return {code.value_or(-1000), read_whole_file(folder / "out"), read_whole_file(folder / "err")};
}

std::string read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace tributary::test
