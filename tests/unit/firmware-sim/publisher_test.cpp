#include "firmware-sim/mqtt/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <asio.hpp>

#include "tests/support/mosquitto.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_folder.h"

namespace tributary::mqtt {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class PublisherTest : public testing::Test {
 protected:
  /// The publisher's first messages are published when it connects.
  void start(std::uint16_t port, PublisherOptions options = {}) {
    options.address = {"127.0.0.1", std::to_string(port)};
    options.client_id = "device";
    publisher_.emplace(io_, options, Publisher::Callbacks{
        .on_outcome = [this](std::uint64_t, Outcome outcome, bool) { outcomes_.push_back(outcome); },
        .on_connected = [this] { ++connected_; },
        .on_disconnected = [this](const std::string& why) { errors_.push_back(why); }});
    publisher_->start();
  }
  template <class Condition>
  bool run_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition() && std::chrono::steady_clock::now() < deadline) io_.run_one_for(20ms);
    return condition();
  }

  asio::io_context io_{1};
  std::optional<Publisher> publisher_;
  int connected_ = 0;
  std::vector<Outcome> outcomes_;
  std::vector<std::string> errors_;
};

TEST_F(PublisherTest, ADeadLineIsNoticedByTheMissingPingresp) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  test::TcpProxy proxy(mosquitto.port());
  start(proxy.port(), {.keep_alive_s = 1});
  ASSERT_TRUE(run_until([&] { return connected_ == 1; }));
  proxy.pause();
  publisher_->publish("t", "m", 1, 0);
  EXPECT_TRUE(run_until([&] {
    publisher_->keep_alive();
    return !errors_.empty();
  }));
  EXPECT_THAT(errors_.front(), testing::HasSubstr("PINGRESP"));
  proxy.resume();
  EXPECT_TRUE(run_until([&] { return connected_ == 2 && !outcomes_.empty(); }));
}

TEST_F(PublisherTest, AnIdleConnectionStaysUp) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  start(mosquitto.port(), {.keep_alive_s = 1});
  ASSERT_TRUE(run_until([&] { return connected_ == 1; }));
  const auto end = std::chrono::steady_clock::now() + 2s;  // Mosquitto drops a silent client after 1.5 s
  EXPECT_TRUE(run_until([&] {
    publisher_->keep_alive();
    return std::chrono::steady_clock::now() > end;
  }));
  EXPECT_THAT(errors_, testing::IsEmpty());
}

TEST_F(PublisherTest, ABrokerThatTalksNonsenseIsLeftAndTriedAgain) {
  asio::ip::tcp::acceptor acceptor(io_, {asio::ip::make_address("127.0.0.1"), 0});
  std::vector<asio::ip::tcp::socket> peers;
  const std::string answers[] = {"HTTP/1.1 400 Bad Request\r\n\r\n"s, "\x20\xff\xff\xff\xff\xff"s, "\x40\x02\x00\x01"s,
                                 "\x20\x03\x00\x87\x00"s, "\x20\x02"s};
  std::function<void()> accept = [&] {
    acceptor.async_accept([&](asio::error_code error, asio::ip::tcp::socket peer) {
      if (error) return;
      asio::error_code ignored;
      if (peers.size() < std::size(answers)) asio::write(peer, asio::buffer(answers[peers.size()]), ignored);
      if (peers.size() + 1 == std::size(answers)) peer.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      peers.push_back(std::move(peer));
      accept();
    });
  };
  accept();
  start(acceptor.local_endpoint().port());
  EXPECT_TRUE(run_until([&] { return errors_.size() >= std::size(answers); }));
  EXPECT_EQ(0, connected_);
  EXPECT_THAT(errors_[0], testing::HasSubstr("unexpected packet"));
  EXPECT_THAT(errors_[1], testing::HasSubstr("remaining length"));
  EXPECT_THAT(errors_[2], testing::HasSubstr("out of turn"));
  EXPECT_THAT(errors_[3], testing::HasSubstr("not authorized (0x87)"));
  EXPECT_THAT(errors_[4], testing::HasSubstr("closed"));
}

TEST_F(PublisherTest, ABrokerThatAcceptsAndCutsAtOnceIsNotTriedAtFullSpeed) {
  asio::ip::tcp::acceptor acceptor(io_, {asio::ip::make_address("127.0.0.1"), 0});
  std::vector<std::chrono::steady_clock::time_point> accepted;
  std::vector<asio::ip::tcp::socket> peers;
  std::function<void()> accept = [&] {
    acceptor.async_accept([&](asio::error_code error, asio::ip::tcp::socket peer) {
      if (error) return;
      accepted.push_back(std::chrono::steady_clock::now());
      asio::error_code ignored;
      asio::write(peer, asio::buffer("\x20\x03\x00\x00\x00"s), ignored);
      peer.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      peers.push_back(std::move(peer));
      accept();
    });
  };
  accept();
  start(acceptor.local_endpoint().port());
  ASSERT_TRUE(run_until([&] { return accepted.size() == 5; }));
  EXPECT_EQ(connected_, 4);
  EXPECT_GE(accepted[4] - accepted[3], 400ms);  // 100, 200, 400 and 800 ms, by jitter half of it at least
}

TEST_F(PublisherTest, ASecondClientOfTheSameIdIsNoticed) {
  test::TempFolder folder;
  test::Mosquitto mosquitto(folder.path());
  start(mosquitto.port());
  ASSERT_TRUE(run_until([&] { return connected_ == 1; }));
  PublisherOptions same{.address = {"127.0.0.1", std::to_string(mosquitto.port())}, .client_id = "device"};
  bool other_connected = false;
  Publisher other(io_, same, {.on_outcome = [](std::uint64_t, Outcome, bool) {},
                              .on_connected = [&] { other_connected = true; },
                              .on_disconnected = [](const std::string&) {}});
  other.start();
  EXPECT_TRUE(run_until([&] { return other_connected && !errors_.empty(); }));
}

}  // namespace
}  // namespace tributary::mqtt
