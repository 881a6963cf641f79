#pragma once
// Waiting for a condition with a deadline, in place of sleeps.

#include <chrono>
#include <thread>

namespace tributary::test {

/// Asks `condition` again and again until it holds (true) or `deadline` has passed (false).
template <class Condition>
[[nodiscard]] bool eventually(std::chrono::nanoseconds deadline, Condition condition,
                              std::chrono::milliseconds every = std::chrono::milliseconds(5)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(every);
  }
  return true;
}

}  // namespace tributary::test
