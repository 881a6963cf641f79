#include "common/env/clock.h"

namespace tributary {
namespace {
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonoTime mono_now() const override {
    return MonoTime(std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch()));
  }
  [[nodiscard]] WallMs wall_now_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};
}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace tributary
