#include "common/env/signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tributary {
namespace {

using namespace std::chrono_literals;

/// Runs `body` in a child process, whose exit status it returns.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(StopSignal, ATerminationAsksForACleanStop) {
  EXPECT_EQ(in_child([] {
              auto& stop = StopSignal::install();
              if (stop.requested() || stop.wait_for(1ms)) return 1;
              ::kill(::getpid(), SIGTERM);
              stop.wait();
              pollfd ready{stop.descriptor(), POLLIN, 0};
              return stop.requested() && ::poll(&ready, 1, 0) == 1 ? 0 : 2;
            }),
            0);
}

TEST(StopSignal, ASecondInterruptEndsTheProcessAtOnce) {
  EXPECT_EQ(in_child([] {
              auto& stop = StopSignal::install();
              ::raise(SIGINT);
              if (!stop.requested()) return 1;
              ::raise(SIGINT);
              return 2;
            }),
            130);
}

TEST(StopSignal, APartOfTheProgramMayAskToo) {
  EXPECT_EQ(in_child([] {
              auto& stop = StopSignal::install();
              stop.request();
              return stop.wait_for(10s) ? 0 : 1;
            }),
            0);
}

TEST(StopSignal, AWriteToAClosedPipeDoesNotEndTheProcess) {
  EXPECT_EQ(in_child([] {
              StopSignal::install();
              int ends[2];
              if (::pipe(ends) != 0) return 1;
              ::close(ends[0]);
              return ::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace tributary
