#include "gateway/pipeline/pressure.h"

#include "common/telemetry/log.h"

namespace tributary {
namespace {

constexpr std::size_t kUpdateBytes = 64 << 10;
constexpr std::size_t kUpdateReadings = 64;

}  // namespace

Pressure::Pressure(PressureOptions options, const Intake& intake, const FlashBuffer& buffer, Gauge& paused,
                   std::function<void(bool)> set_paused)
    : options_(options), intake_(intake), buffer_(buffer), paused_gauge_(paused), set_paused_(std::move(set_paused)) {}

void Pressure::update() {
  const std::lock_guard guard(mutex_);
  const auto intake_bytes = intake_.level().bytes();
  const auto buffer_bytes = buffer_.used_bytes();
  const auto room_bytes = intake_.room_bytes();
  const bool high = intake_bytes >= options_.intake_bytes_max / 10 * 8 ||
                    buffer_bytes >= options_.buffer_bytes_max || room_bytes < options_.intake_room_min;
  const bool low = intake_bytes < options_.intake_bytes_max / 2 &&
                   buffer_bytes < options_.buffer_bytes_max / 10 * 9 &&
                   room_bytes >= options_.intake_room_min + options_.intake_room_min / 4;
  if (paused_ ? !low : !high) return;
  paused_ = !paused_;
  paused_gauge_.set(paused_ ? 1 : 0);
  if (paused_) {
    log_warning("pipeline", "full: the MQTT broker has to queue until there is room again",
                {{"intake_bytes", intake_bytes}, {"intake_room_bytes", room_bytes}, {"buffer_bytes", buffer_bytes}});
  } else {
    log_info("pipeline", "there is room again, taking from the MQTT broker");
  }
  set_paused_(paused_);
}

void Pressure::stored(std::size_t readings, std::size_t bytes) {
  stored_bytes_ += bytes;
  stored_readings_ += readings;
  if (stored_readings_ < kUpdateReadings && stored_bytes_ < kUpdateBytes) return;
  stored_bytes_ = stored_readings_ = 0;
  update();
}

}  // namespace tributary
