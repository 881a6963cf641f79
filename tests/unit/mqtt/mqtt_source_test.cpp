#include "gateway/mqtt/mqtt_source.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/mosquitto.h"
#include "tests/support/process.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_folder.h"

namespace tributary {
namespace {

using test::eventually;
using namespace std::chrono_literals;

std::mutex lookups_mutex;
std::condition_variable lookups_changed;
bool lookups_wait = false;  // under lookups_mutex
int lookups_waiting = 0;    // likewise

}  // namespace
}  // namespace tributary

/// In place of the C library's, which it calls once lookups need not wait.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using namespace tributary;
  {
    std::unique_lock lock(lookups_mutex);
    ++lookups_waiting;
    lookups_changed.notify_all();
    lookups_changed.wait(lock, [] { return !lookups_wait; });
    --lookups_waiting;
  }
  static const auto original = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return original(node, service, hints, found);
}

namespace tributary {
namespace {

/// While it lives and is not released, name lookups do not return.
class SlowLookups {
 public:
  SlowLookups() { set(true); }
  ~SlowLookups() { release(); }
  void release() { set(false); }
  void wait_for_one() {
    std::unique_lock lock(lookups_mutex);
    lookups_changed.wait(lock, [] { return lookups_waiting > 0; });
  }

 private:
  static void set(bool wait) {
    const std::lock_guard guard(lookups_mutex);
    lookups_wait = wait;
    lookups_changed.notify_all();
  }
};

class Recorder final : public MqttHandler {
 public:
  struct Message {
    std::string topic;
    std::string payload;
    std::string first_property;
    Delivery delivery;
  };
  void on_messages(std::span<const MqttMessage> messages) override {
    std::unique_lock lock(mutex_);
    ++entered_;
    unblocked_.wait(lock, [this] { return !blocked_; });
    for (const auto& message : messages) {
      Message copy{std::string(message.topic), std::string(as_string_view(message.payload)), {}, message.delivery};
      if (!message.properties.empty()) {
        copy.first_property = fmt::format("{}={}", message.properties[0].name, message.properties[0].value);
      }
      messages_.push_back(std::move(copy));
    }
  }
  std::int64_t position() override { return 0; }
  void on_settled(std::span<const std::uint16_t> packet_ids, std::int64_t) override {
    const std::lock_guard guard(mutex_);
    settled_ += packet_ids.size();
  }
  std::size_t settled() {
    const std::lock_guard guard(mutex_);
    return settled_;
  }
  void on_connected(bool session_present) override {
    const std::lock_guard guard(mutex_);
    sessions_.push_back(session_present);
  }
  std::vector<Message> messages() {
    const std::lock_guard guard(mutex_);
    return messages_;
  }
  std::vector<bool> sessions() {
    const std::lock_guard guard(mutex_);
    return sessions_;
  }
  int entered() {
    const std::lock_guard guard(mutex_);
    return entered_;
  }
  void block(bool blocked) {
    const std::lock_guard guard(mutex_);
    blocked_ = blocked;
    unblocked_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable unblocked_;
  std::vector<Message> messages_;
  std::vector<bool> sessions_;
  bool blocked_ = false;
  std::size_t settled_ = 0;
  int entered_ = 0;
};

class MqttSourceTest : public testing::Test {
 protected:
  MqttSourceTest() {
    options_.url = mosquitto_.url();
    options_.client_id = "tributary-gateway-test";
    options_.subscriptions = {{"sensors/#", 1}};
    options_.backoff_max = 200ms;
  }

  void publish(const std::string& payload, std::vector<std::string> more = {},
               const std::string& topic = "sensors/a/t") {
    std::vector<std::string> command{"mosquitto_pub", "-h", "127.0.0.1", "-p", std::to_string(mosquitto_.port()),
                                     "-q", "1", "-V", "5", "-t", topic, "-m", payload};
    command.insert(command.end(), more.begin(), more.end());
    const auto finished = test::run(command, 10s);
    ASSERT_EQ(finished.exit_code, 0) << finished.errors;
  }
  bool received(std::size_t count) {
    return eventually(10s, [&] { return recorder_.messages().size() >= count; });
  }

  test::TempFolder folder_;
  test::Mosquitto mosquitto_{folder_.path()};
  Recorder recorder_;
  MqttOptions options_;
};

TEST_F(MqttSourceTest, MessagesComeWithTheirPacketIdsAndUserProperties) {
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish("one", {"-D", "publish", "user-property", "seq", "17"});
  publish("", {"-q", "1"});
  ASSERT_TRUE(received(2));
  const auto messages = recorder_.messages();
  EXPECT_EQ(messages[0].topic, "sensors/a/t");
  EXPECT_EQ(messages[0].payload, "one");
  EXPECT_EQ(messages[0].first_property, "seq=17");
  EXPECT_NE(messages[0].delivery.packet_id, 0);
  EXPECT_FALSE(messages[0].delivery.dup);
  EXPECT_EQ(messages[1].payload, "");
  EXPECT_NE(messages[1].delivery.packet_id, messages[0].delivery.packet_id);
  EXPECT_EQ(recorder_.sessions(), std::vector<bool>{false});
}

TEST_F(MqttSourceTest, RetainedMessagesAreNotReadings) {
  publish("retained", {"-r"});
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish("live");
  ASSERT_TRUE(received(1));
  EXPECT_EQ(recorder_.messages()[0].payload, "live");
}

TEST_F(MqttSourceTest, TheBrokerQueuesWhilePausedAndWhileTheProcessIsAway) {
  {
    MqttSource source(options_, recorder_);
    ASSERT_TRUE(source.start());
    ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
    source.pause();
    ASSERT_TRUE(eventually(10s, [&] { return !source.ready(); }));
    publish("while paused");
    source.resume();
    ASSERT_TRUE(received(1));
  }
  publish("while away");
  MqttSource again(options_, recorder_);
  ASSERT_TRUE(again.start());
  ASSERT_TRUE(received(2));
  EXPECT_EQ(recorder_.messages()[1].payload, "while away");
  EXPECT_EQ(recorder_.sessions(), (std::vector<bool>{false, true, true}));
}

TEST_F(MqttSourceTest, AMessageWhoseHandlerHasNotReturnedIsDeliveredAgainWithDupAndTheSamePacketId) {
  test::TcpProxy proxy(mosquitto_.port());
  options_.url = fmt::format("tcp://127.0.0.1:{}", proxy.port());
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  recorder_.block(true);
  publish("first");
  publish("second");
  ASSERT_TRUE(eventually(10s, [&] { return recorder_.entered() == 1; }));
  proxy.cut();
  recorder_.block(false);
  ASSERT_TRUE(eventually(10s, [&] {
    const auto messages = recorder_.messages();
    return messages.size() >= 3 && messages.back().payload == "second";
  })) << fmt::format("{} messages", recorder_.messages().size());
  const auto messages = recorder_.messages();
  EXPECT_EQ(messages[0].payload, "first");
  bool redelivered = false;
  for (std::size_t i = 1; i < messages.size(); ++i) {
    redelivered |= messages[i].payload == "first" && messages[i].delivery.dup &&
                   messages[i].delivery.packet_id == messages[0].delivery.packet_id;
  }
  EXPECT_TRUE(redelivered);
}

TEST_F(MqttSourceTest, ComesBackAfterTheBrokerWasKilledAndSaysThatTheSessionIsGone) {
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  mosquitto_.kill();
  ASSERT_TRUE(eventually(10s, [&] { return !source.ready(); }));
  mosquitto_.start();
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish("after");
  ASSERT_TRUE(received(1));
  EXPECT_EQ(recorder_.sessions(), (std::vector<bool>{false, false}));
}

TEST_F(MqttSourceTest, StartsBeforeTheBrokerAndCanBeStoppedWithoutIt) {
  mosquitto_.kill();
  {
    MqttSource source(options_, recorder_);
    ASSERT_TRUE(source.start());
  }
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  mosquitto_.start();
  EXPECT_TRUE(eventually(10s, [&] { return source.ready(); }));
}

TEST_F(MqttSourceTest, StartedPausedItTakesNothingUntilResumed) {
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start(true));
  source.pause();
  EXPECT_FALSE(source.ready());
  source.resume();
  EXPECT_TRUE(eventually(10s, [&] { return source.ready(); }));
}

TEST_F(MqttSourceTest, ThrownOutByAnotherWithItsClientIdItComesBackEverMoreSlowlyAndSaysItOnce) {
  options_.backoff_max = 10s;
  options_.settled_after = 1min;
  testing::internal::CaptureStderr();
  {
    MqttSource source(options_, recorder_);
    ASSERT_TRUE(source.start());
    ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
    const auto begun = std::chrono::steady_clock::now();
    for (std::uint64_t times = 1; times <= 5; ++times) {
      publish("x", {"-i", options_.client_id});
      ASSERT_TRUE(eventually(10s, [&] { return source.connects() > times && source.ready(); })) << times;
    }
    // Half of 100, 200, ... 1600 ms at least.
    EXPECT_GE(std::chrono::steady_clock::now() - begun, 1550ms);
  }
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
}

TEST_F(MqttSourceTest, AConnectionThatStoodForAWhileEndsTheTroubleBefore) {
  options_.backoff_min = 50ms;
  options_.backoff_max = 60s;
  options_.settled_after = 0ms;
  test::TcpProxy proxy(mosquitto_.port());
  options_.url = fmt::format("tcp://127.0.0.1:{}", proxy.port());
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  for (std::uint64_t cuts = 1; cuts <= 12; ++cuts) {  // unsettled, the last would be waited for for a minute
    ASSERT_TRUE(eventually(10s, [&] { return source.ready(); })) << cuts;
    proxy.cut();
    ASSERT_TRUE(eventually(10s, [&] { return source.connects() > cuts; })) << cuts;
  }
}

TEST_F(MqttSourceTest, WhatIsOverThePacketSizeTheBrokerDropsAndTheSessionGoesOn) {
  options_.packet_bytes_max = 1000;
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish(std::string(1000, 'x'));
  publish(std::string(900, 'y'));
  ASSERT_TRUE(received(1));
  EXPECT_EQ(recorder_.messages()[0].payload, std::string(900, 'y'));
  EXPECT_EQ(source.connects(), 1u);
}

TEST_F(MqttSourceTest, LargeMessagesComeAmongSmallOnes) {
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  const auto file = folder_ / "large";
  const std::string large(1'500'000, 'l');
  std::ofstream(file) << large;
  publish("before");
  for (int i = 0; i < 2; ++i) {
    const auto sent = test::run({"mosquitto_pub", "-p", std::to_string(mosquitto_.port()), "-q", "1", "-V", "5", "-t",
                                 "sensors/a/t", "-f", file}, 10s);
    ASSERT_EQ(sent.exit_code, 0) << sent.errors;
    publish("after");
  }
  ASSERT_TRUE(received(5));
  const auto messages = recorder_.messages();
  EXPECT_TRUE(messages[1].payload == large && messages[3].payload == large);
  EXPECT_EQ(messages[4].payload, "after");
  EXPECT_EQ(source.connects(), 1u);
}

TEST_F(MqttSourceTest, WhatWasAcknowledgedIsSoonSettled) {
  options_.keep_alive_s = 1;
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish("one");
  EXPECT_TRUE(eventually(10s, [&] { return recorder_.settled() == 1; }));
}

TEST_F(MqttSourceTest, AnIdleConnectionIsKeptAlive) {
  options_.keep_alive_s = 1;  // Mosquitto ends a connection that was silent for 1.5 times as long
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  EXPECT_FALSE(eventually(4s, [&] { return !source.ready() || source.connects() > 1; }));
}

TEST_F(MqttSourceTest, ADeadLineIsNoticedAndReplaced) {
  options_.keep_alive_s = 1;
  test::TcpProxy proxy(mosquitto_.port());
  options_.url = fmt::format("tcp://localhost:{}", proxy.port());
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  proxy.forget();
  publish("while forgotten");
  ASSERT_TRUE(received(1));
  EXPECT_EQ(source.connects(), 2u);
}

TEST_F(MqttSourceTest, ABrokerThatAcceptsAndSaysNothingIsGivenUpAndTriedAgain) {
  options_.connect_timeout = 200ms;
  test::TcpProxy proxy(mosquitto_.port());
  proxy.pause();
  options_.url = fmt::format("tcp://127.0.0.1:{}", proxy.port());
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  ASSERT_TRUE(eventually(10s, [&] { return proxy.accepted_total() >= 3; }));
  EXPECT_FALSE(source.ready());
  proxy.resume();
  EXPECT_TRUE(eventually(10s, [&] { return source.ready(); }));
}

TEST_F(MqttSourceTest, WhatIsWishedDuringANameLookupHoldsAfterIt) {
  options_.url = fmt::format("tcp://localhost:{}", mosquitto_.port());
  {
    MqttSource source(options_, recorder_);
    SlowLookups slow;
    ASSERT_TRUE(source.start());
    slow.wait_for_one();
    source.pause();
    slow.release();
    source.resume();
    ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
    source.pause();
    ASSERT_TRUE(eventually(10s, [&] { return !source.ready(); }));
  }
  MqttSource source(options_, recorder_);
  SlowLookups slow;
  ASSERT_TRUE(source.start());
  slow.wait_for_one();
  std::thread stopping([&] { source.stop(); });
  slow.release();
  stopping.join();
  EXPECT_FALSE(source.ready());
}

TEST_F(MqttSourceTest, ATimeOutDuringANameLookupEndsTheAttempt) {
  options_.connect_timeout = 50ms;
  test::TcpProxy silent(mosquitto_.port());
  silent.pause();
  options_.url = fmt::format("tcp://localhost:{}", silent.port());
  MqttSource source(options_, recorder_);
  {
    SlowLookups slow;
    ASSERT_TRUE(source.start());
    slow.wait_for_one();
    ASSERT_FALSE(eventually(200ms, [&] { return silent.accepted_total() > 0; }));  // the time-out passes
  }
  ASSERT_TRUE(eventually(10s, [&] { return silent.accepted_total() >= 2; }));  // each attempt has its own time-out
  silent.resume();
  EXPECT_TRUE(eventually(10s, [&] { return source.ready(); }));
}

TEST_F(MqttSourceTest, PausedAndResumedAtOnceItGoesOn) {
  MqttSource source(options_, recorder_);
  ASSERT_TRUE(source.start());
  for (int i = 0; i < 50; ++i) {
    if (i % 5 == 0) {
      ASSERT_TRUE(eventually(10s, [&] { return source.ready(); })) << i;
    }
    source.pause();
    source.resume();
  }
  ASSERT_TRUE(eventually(10s, [&] { return source.ready(); }));
  publish("after");
  ASSERT_TRUE(received(1));
}

TEST_F(MqttSourceTest, RefusesWhatCanNeverWork) {
  options_.url = "ssl://127.0.0.1:1";
  EXPECT_EQ(MqttSource(options_, recorder_).start().error().code, Errc::kInvalidArgument);
  options_.url = mosquitto_.url();
  options_.subscriptions = {{"a", 2}};
  EXPECT_EQ(MqttSource(options_, recorder_).start().error().code, Errc::kInvalidArgument);
  options_.subscriptions.clear();
  EXPECT_EQ(MqttSource(options_, recorder_).start().error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace tributary
