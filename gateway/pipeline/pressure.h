#pragma once
// Back-pressure: when the MQTT broker has to queue because intake or buffer are full.

#include <functional>
#include <mutex>

#include "gateway/buffer/flash_buffer.h"
#include "gateway/intake/intake.h"
#include "gateway/pipeline/gateway_metrics.h"

namespace tributary {

struct PressureOptions {
  std::size_t intake_bytes_max = 64 << 20;  // paused from 80 % of it to 50 %
  std::size_t buffer_bytes_max = 1u << 30;  // paused from 100 % of it to 90 %
  std::size_t intake_room_min = 0;          // paused below it, until there is a quarter more
};

/// Thread-safe, and asked from two threads: the pipeline's at each step, which also notices that there is
/// room again, and MQTT's while it stores, so that no write to flash that takes its time delays a pause.
class Pressure {
 public:
  /// `set_paused` is called with every change, never by two threads at once; it must return at once and not
  /// call this. What is given must outlive it.
  Pressure(PressureOptions options, const Intake& intake, const FlashBuffer& buffer, Gauge& paused,
           std::function<void(bool)> set_paused);

  /// Compares what is held with the marks. Waits for the intake's mutex at most.
  void update();
  /// MQTT's thread: so many readings and bytes were stored. Updates once enough has come together.
  void stored(std::size_t readings, std::size_t bytes);

 private:
  const PressureOptions options_;
  const Intake& intake_;
  const FlashBuffer& buffer_;
  Gauge& paused_gauge_;
  const std::function<void(bool)> set_paused_;

  std::size_t stored_bytes_ = 0;     // since the last update; MQTT's thread only
  std::size_t stored_readings_ = 0;  // likewise

  std::mutex mutex_;
  bool paused_ = false;  // protected by mutex_
};

}  // namespace tributary
