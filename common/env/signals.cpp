#include "common/env/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "common/base/check.h"

namespace tributary {
namespace {

std::atomic<int> event_descriptor{-1};
std::atomic<bool> stop_requested{false};
std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void request_stop() {
  stop_requested.store(true);
  const std::uint64_t one = 1;
  // The counter can only overflow after 2^64 - 2 requests; then it is readable already.
  [[maybe_unused]] const auto written = ::write(event_descriptor.load(), &one, sizeof one);
}

void on_signal(int signal_number) {
  const int saved_errno = errno;
  if (signal_number == SIGINT && interrupts.fetch_add(1) > 0) ::_exit(128 + SIGINT);
  request_stop();
  errno = saved_errno;
}

int install_handlers() {
  const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CHECK(descriptor >= 0, "eventfd: errno {}", errno);
  event_descriptor.store(descriptor);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  return descriptor;
}

}  // namespace

StopSignal& StopSignal::install() {
  static StopSignal stop(install_handlers());
  return stop;
}

bool StopSignal::requested() const { return stop_requested.load(); }

void StopSignal::wait() const {
  while (!wait_for(std::chrono::hours(24))) {
  }
}

bool StopSignal::wait_for(Duration timeout) const {
  const auto deadline = system_clock().mono_now() + timeout;
  while (!requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - system_clock().mono_now());
    if (left.count() <= 0) return false;
    pollfd waiting{descriptor_, POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(left.count()));
  }
  return true;
}

void StopSignal::request() { request_stop(); }

}  // namespace tributary
