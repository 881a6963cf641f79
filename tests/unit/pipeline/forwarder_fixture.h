#pragma once
// A forwarder over a real intake and buffer and a cluster in memory, without MQTT, network and real time.

#include "gateway/pipeline/forwarder.h"

#include <gtest/gtest.h>

#include "common/env/file_system.h"
#include "common/env/random.h"
#include "common/record/partitioner.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/pipeline/model_cluster.h"

namespace tributary {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A gateway without MQTT and network, whose process can end at any step, with or without its tmpfs.
class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() { cluster_.topics["readings"] = 4; }
  ~ForwarderTest() override { crash(); }

  void start() {
    crash();
    auto intake = Intake::open({intake_folder_ / "intake", false});
    ASSERT_TRUE(intake) << intake.error().message;
    intake_ = std::move(*intake);
    auto buffer = FlashBuffer::open({flash_folder_ / "flash"});
    ASSERT_TRUE(buffer) << buffer.error().message;
    buffer_ = std::move(*buffer);
    uplink_ = std::make_unique<test::ModelUplink>(cluster_);
    forwarder_ = std::make_unique<Forwarder>(options_, routes_, *intake_, *buffer_, *uplink_, clock_, metrics_,
                                             [this](bool paused) { paused_ = paused; });
    const auto begun = forwarder_->begin();
    ASSERT_TRUE(begun) << begun.error().message;
  }
  void crash() {
    forwarder_.reset();
    uplink_.reset();
    buffer_.reset();
    intake_.reset();
  }
  void lose_tmpfs() {
    crash();
    ASSERT_TRUE(remove_recursively(posix_file_system(), intake_folder_ / "intake"));
  }
  void cluster_answers() {
    forwarder_->reachable(true);
    for (const auto& [topic, count] : cluster_.topics) forwarder_->partition_count(topic, count);
  }
  void store(int device, std::size_t padding = 0) {
    const auto key = fmt::format("d{}", device);
    const auto payload = fmt::format("{} {}", next_[device]++, std::string(padding, 'x'));
    ReadingView reading;
    reading.topic = "readings";
    reading.key = key;
    reading.mqtt_topic = "sensors/x/y";
    reading.payload = as_bytes(payload);
    reading.received_ms = clock_.wall_now_ms();
    reading.received = clock_.mono_now();
    ASSERT_EQ(intake_->store(reading, {}), StoreOutcome::kStored);
  }
  /// A reading that does not compress.
  void store_noise(std::size_t bytes, int device = 0) {
    auto payload = fmt::format("{} ", next_[device]++);
    while (payload.size() < bytes) payload += static_cast<char>('!' + noise_.below(90));
    const auto key = fmt::format("d{}", device);
    ReadingView reading;
    reading.topic = "readings";
    reading.key = key;
    reading.payload = as_bytes(payload);
    reading.received = clock_.mono_now();
    ASSERT_EQ(intake_->store(reading, {}), StoreOutcome::kStored);
  }
  /// The first one's partition has the smaller index.
  std::pair<int, int> two_devices_of_different_partitions() {
    const auto partition_of = [&](int device) {
      return partition_of_key(as_bytes(fmt::format("d{}", device)), cluster_.topics["readings"]);
    };
    int first = 1, second = 2;
    while (partition_of(first) == partition_of(second)) ++second;
    if (partition_of(second) < partition_of(first)) std::swap(first, second);
    return {first, second};
  }
  MonoTime step() {
    const auto next = forwarder_->step();
    EXPECT_TRUE(next) << next.error().message;
    return next.value_or(MonoTime::max());
  }
  void advance_and_step(Duration by) {
    clock_.advance(by);
    step();
  }
  /// Everything that is offered is delivered and acknowledged, until nothing is left.
  void deliver_all() {
    for (int round = 0; round < 10'000; ++round) {
      bool any = false;
      while (const auto id = uplink_->deliver()) {
        forwarder_->acked(*id);
        any = true;
      }
      advance_and_step(milliseconds(3));
      if (!any && forwarder_->drained() && uplink_->offered() == 0 && buffer_->last_id() == BatchId(0)) return;
    }
    FAIL() << "not drained: " << uplink_->offered() << " offered, flash up to "
           << buffer_->last_id().value();
  }
  /// Every device's readings are in the log, once each and in order (`lost_at_most` may be missing).
  void expect_complete(int lost_at_most = 0) {
    std::map<std::string, int> last;
    int found = 0;
    for (const auto& record : cluster_.all()) {
      const int number = std::stoi(record.value);
      const auto seen = last.find(record.key);
      const int expected = seen == last.end() ? 0 : seen->second + 1;
      if (lost_at_most == 0) {
        EXPECT_EQ(number, expected) << record.key;
      } else {
        EXPECT_GE(number, expected) << record.key;
      }
      last[record.key] = number;
      ++found;
    }
    int sent = 0;
    for (const auto& [device, count] : next_) sent += count;
    EXPECT_LE(found, sent);
    EXPECT_GE(found, sent - lost_at_most);
  }

  [[nodiscard]] std::string buffer_path() const { return flash_folder_ / "flash/buffer.db"; }

  test::TempFolder intake_folder_{"/dev/shm"};
  test::TempFolder flash_folder_;
  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  RouteTable routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value()}).value();
  ForwarderOptions options_;
  test::ModelCluster cluster_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<FlashBuffer> buffer_;
  std::unique_ptr<test::ModelUplink> uplink_;
  std::unique_ptr<Forwarder> forwarder_;
  std::map<int, int> next_;
  bool paused_ = false;
  SeededRandom noise_{3};
};

}  // namespace tributary
