#pragma once
// SIGTERM and SIGINT as a state to wait for, the same in every program's main.

#include "common/env/clock.h"

namespace tributary {

/// The first SIGTERM or SIGINT asks for a clean stop; a second SIGINT ends the process at once with exit
/// code 130. SIGPIPE is ignored: a write to a closed peer fails with EPIPE instead.
///
///   StopSignal& stop = StopSignal::install();   // first thing in main
///   …start…
///   stop.wait();
///   …stop, return kExitOk…
///
/// All members are thread-safe.
class StopSignal {
 public:
  /// Puts the handlers in place. One for the process; further calls give the same.
  static StopSignal& install();

  [[nodiscard]] bool requested() const;
  /// An eventfd that is readable from the moment a stop is asked for; never read from it.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  void wait() const;
  /// True if a stop was asked for before `timeout` passed.
  [[nodiscard]] bool wait_for(Duration timeout) const;
  /// As if SIGTERM had come: a part that cannot go on ends the program this way. Async-signal-safe.
  void request();

 private:
  explicit StopSignal(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

}  // namespace tributary
