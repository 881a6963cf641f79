#include "common/transport/client.h"

#include "common/transport/kafka_tcp_server.h"
#include "common/transport/nng_server.h"
#include "tests/support/tcp_proxy.h"
#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

enum class Kind { kKafkaTcp, kNng };

/// The same promises for both transports.
class RequestChannelTest : public testing::TestWithParam<Kind> {
 protected:
  void serve(FunctionHandler::Function function) {
    handler_ = std::make_unique<FunctionHandler>(std::move(function));
    if (GetParam() == Kind::kNng) {
      NngServerOptions options;
      options.url = fmt::format("tcp://127.0.0.1:{}", port_);
      auto server = NngServer::start(options, shards_.all(), *handler_);
      ASSERT_TRUE(server) << server.error().message;
      nng_ = std::move(*server);
      port_ = nng_->port();
    } else {
      KafkaTcpServerOptions options;
      options.host = "127.0.0.1";
      options.port = port_;
      auto server = KafkaTcpServer::start(options, shards_.all(), *handler_);
      ASSERT_TRUE(server) << server.error().message;
      tcp_ = std::move(*server);
      port_ = tcp_->port();
    }
  }
  void serve_echo() {
    serve([](IncomingRequest request, Responder responder) { responder.respond(echo_of(request.frame)); });
  }
  void stop_server() {
    nng_.reset();
    tcp_.reset();
  }
  void connect(std::size_t in_flight_max = 32, std::size_t waiting_max = 4096) {
    connect_to(port_, in_flight_max, waiting_max);
  }
  void connect_to(std::uint16_t port, std::size_t in_flight_max = 32, std::size_t waiting_max = 4096) {
    const auto on_change = [this](bool) { ++changes_; };
    if (GetParam() == Kind::kNng) {
      NngClientOptions options;
      options.in_flight_max = in_flight_max;
      options.waiting_max = waiting_max;
      options.reconnect_min = 10ms;
      options.reconnect_max = 50ms;
      options.silence_min = silence_min_;
      options.on_connection_change = on_change;
      channel_ = connect_nng(fmt::format("tcp://127.0.0.1:{}", port), options).value();
    } else {
      KafkaTcpClientOptions options;
      options.in_flight_max = in_flight_max;
      options.waiting_max = waiting_max;
      options.on_connection_change = on_change;
      channel_ = connect_kafka_tcp("127.0.0.1", port, options).value();
    }
  }
  std::future<Result<SharedBytes>> call(std::int32_t id, Bytes body, Duration timeout = 10s) {
    auto promise = std::make_shared<std::promise<Result<SharedBytes>>>();
    channel_->send(Payload(request_frame(id, body)), timeout,
                   [promise](Result<SharedBytes> result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }

  Shards shards_{2};
  std::uint16_t port_ = 0;
  std::chrono::milliseconds silence_min_{1'000};
  std::unique_ptr<FunctionHandler> handler_;
  std::unique_ptr<NngServer> nng_;
  std::unique_ptr<KafkaTcpServer> tcp_;
  std::atomic<int> changes_{0};
  std::unique_ptr<RequestChannel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Transports, RequestChannelTest, testing::Values(Kind::kKafkaTcp, Kind::kNng),
                         [](const auto& test) { return test.param == Kind::kNng ? "Nng" : "KafkaTcp"; });

TEST_P(RequestChannelTest, CarriesFramesOfAllSizes) {
  serve_echo();
  connect();
  for (const std::size_t size : {0u, 1u, 1000u, 65'536u, 1u << 20, 6u << 20}) {
    const auto body = pattern(size);
    const auto answer = call(7, body).get();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(ByteReader(answer->view()).i32(), 7);
    EXPECT_EQ(to_bytes(answer->view().subspan(4)), body);
  }
  EXPECT_TRUE(channel_->connected());
}

TEST_P(RequestChannelTest, SendsFileSlicesAndManyParts) {
  serve_echo();
  connect();
  TemporaryFile file(pattern(300'000));
  Payload frame(request_frame(3, pattern(10)));
  frame.append(FileSlice{file.file(), 5, 200'000});
  for (int i = 0; i < 100; ++i) frame.append(SharedBytes(pattern(20, 2)));
  const auto expected = frame.flatten().value();
  std::promise<Result<SharedBytes>> promise;
  channel_->send(frame, 10s, [&](Result<SharedBytes> result) { promise.set_value(std::move(result)); });
  const auto answer = promise.get_future().get();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(to_bytes(answer->view()), Bytes(expected.begin() + 4, expected.end()));
}

TEST_P(RequestChannelTest, ManyRequestsInFlightArriveInTheirOrder) {
  std::atomic<std::int32_t> next{0};
  serve([&](IncomingRequest request, Responder responder) {
    EXPECT_EQ(id_of(request.frame), next++);
    responder.respond(echo_of(request.frame));
  });
  connect();
  std::atomic<int> answered{0};
  for (std::int32_t id = 0; id < 2000; ++id)
    channel_->send(Payload(request_frame(id, pattern(50))), 20s, [&, id](Result<SharedBytes> result) {
      ASSERT_TRUE(result) << result.error().message;
      EXPECT_EQ(ByteReader(result->view()).i32(), id);
      ++answered;
    });
  EXPECT_TRUE(eventually([&] { return answered == 2000; }));
}

TEST_P(RequestChannelTest, AnUnansweredRequestTimesOutAndOthersGoOn) {
  std::mutex mutex;
  std::vector<Responder> held;
  serve([&](IncomingRequest request, Responder responder) {
    if (id_of(request.frame) != 1) return responder.respond(echo_of(request.frame));
    if (GetParam() == Kind::kNng) {
      const std::lock_guard lock(mutex);
      return held.push_back(std::move(responder));
    }
    responder.no_answer();
  });
  connect();
  ASSERT_TRUE(call(0, {}).get());
  const auto late = call(1, {}, 50ms).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout);
  EXPECT_TRUE(call(2, {}).get());
  stop_server();
}

TEST_P(RequestChannelTest, RequestsWaitingForAConnectionTimeOut) {
  // A port that nobody listens on: taken and given back.
  serve_echo();
  stop_server();
  connect();
  const auto result = call(1, {}, 100ms).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, GetParam() == Kind::kNng ? Errc::kTimeout : Errc::kUnavailable);
  EXPECT_FALSE(channel_->connected());
}

TEST_P(RequestChannelTest, WaitingRequestsTimeOutWhileOthersHoldThePlaces) {
  std::mutex mutex;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    const std::lock_guard lock(mutex);
    held.push_back(std::move(responder));
  });
  connect(2);
  auto first = call(0, {}, 5s), second = call(1, {}, 5s);
  const auto third = call(2, {}, 50ms).get();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Errc::kTimeout);
  channel_.reset();
  EXPECT_EQ(first.get().error().code, Errc::kUnavailable);
  EXPECT_EQ(second.get().error().code, Errc::kUnavailable);
  stop_server();
}

TEST_P(RequestChannelTest, TooManyWaitingRequestsAreRefused) {
  std::mutex mutex;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    const std::lock_guard lock(mutex);
    held.push_back(std::move(responder));
  });
  connect(1, 2);
  std::vector<std::future<Result<SharedBytes>>> kept;
  kept.push_back(call(0, {}));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return held.size() == 1;
  }));
  for (int i = 1; i <= 2; ++i) kept.push_back(call(i, {}));
  const auto refused = call(9, {}).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kNoSpace);
  channel_.reset();
  for (auto& future : kept) EXPECT_EQ(future.get().error().code, Errc::kUnavailable);
  stop_server();
}

TEST_P(RequestChannelTest, ConnectsAgainAfterTheServerRestarts) {
  serve_echo();
  connect();
  ASSERT_TRUE(call(0, pattern(10)).get());
  for (int round = 0; round < 3; ++round) {
    stop_server();
    EXPECT_TRUE(eventually([&] { return !channel_->connected(); }));
    serve_echo();
    ASSERT_TRUE(eventually([&] {
      const auto answer = call(1, pattern(10), 1s).get();
      return answer.has_value();
    }));
    EXPECT_TRUE(eventually([&] { return channel_->connected(); }));
  }
  EXPECT_TRUE(eventually([&] { return changes_ >= 7; }));
}

TEST_P(RequestChannelTest, ALostConnectionFailsWhatWasSentAtOnce) {
  std::mutex mutex;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    const std::lock_guard lock(mutex);
    held.push_back(std::move(responder));
  });
  connect();
  std::vector<std::future<Result<SharedBytes>>> futures;
  for (int i = 0; i < 5; ++i) futures.push_back(call(i, {}, 60s));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return held.size() == 5;
  }));
  stop_server();
  for (auto& future : futures) {
    ASSERT_EQ(future.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(future.get().error().code, Errc::kUnavailable);
  }
}

TEST_P(RequestChannelTest, AConnectionThatDiedSilentlyIsReplacedAfterATimeout) {
  serve_echo();
  test::TcpProxy line(port_);
  silence_min_ = 50ms;
  connect_to(line.port());
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(call(0, pattern(10)).get());
    line.forget();
    auto queued = call(1, pattern(10), 60s);
    EXPECT_EQ(call(2, pattern(10), 100ms).get().error().code, Errc::kTimeout);
    ASSERT_EQ(queued.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(queued.get().error().code, Errc::kUnavailable);
  }
  EXPECT_TRUE(call(3, pattern(10)).get());
  EXPECT_TRUE(eventually([&] { return channel_->connected(); }));
  EXPECT_TRUE(eventually([&] { return changes_ >= 9; }));  // up, and four times down and up
}

TEST_P(RequestChannelTest, EveryRequestIsCompletedOnceWhateverTheServerDoes) {
  std::atomic<int> sent{0}, completed{0};
  std::atomic<bool> done{false};
  serve_echo();
  connect(8);
  std::thread sender([&] {
    SeededRandom random(7);
    while (!done) {
      if (sent - completed > 500) {
        std::this_thread::yield();
        continue;
      }
      ++sent;
      channel_->send(Payload(request_frame(1, pattern(random.below(5000)))), std::chrono::milliseconds(1 + random.below(200)),
                     [&](auto) { ++completed; });
    }
  });
  for (int round = 0; round < 5; ++round) {
    const int target = completed + 300;
    EXPECT_TRUE(eventually([&] { return completed > target; }));
    stop_server();
    serve_echo();
  }
  done = true;
  sender.join();
  channel_.reset();
  EXPECT_EQ(sent, completed);
  stop_server();
}

TEST_P(RequestChannelTest, CallbacksMaySendAgain) {
  serve_echo();
  connect(2);
  std::atomic<int> answered{0};
  std::function<void(Result<SharedBytes>)> again = [&](Result<SharedBytes> result) {
    ASSERT_TRUE(result);
    if (++answered < 200) channel_->send(Payload(request_frame(1, {})), 10s, again);
  };
  channel_->send(Payload(request_frame(1, {})), 10s, again);
  EXPECT_TRUE(eventually([&] { return answered == 200; }));
}

TEST_P(RequestChannelTest, TheDestructorCompletesEverything) {
  std::mutex mutex;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    const std::lock_guard lock(mutex);
    held.push_back(std::move(responder));
  });
  connect(4);
  std::atomic<int> unavailable{0};
  for (int i = 0; i < 50; ++i)
    channel_->send(Payload(request_frame(i, pattern(100))), 60s,
                   [&](auto result) { unavailable += result.error().code == Errc::kUnavailable; });
  channel_.reset();
  EXPECT_EQ(unavailable, 50);
  stop_server();
}

TEST(RequestChannel, BadAddressesAreRefused) {
  for (const auto* url : {"", "nonsense", "tcp://", "http:/x"}) {
    const auto channel = connect_nng(url);
    ASSERT_FALSE(channel) << url;
    EXPECT_EQ(channel.error().code, Errc::kInvalidArgument);
  }
  EXPECT_FALSE(connect_kafka_tcp("", 1));
  EXPECT_FALSE(connect_kafka_tcp("localhost", 0));
}

TEST(NngClient, AConnectionThatDiedInTheMiddleOfARequestIsReplaced) {
  Shards shards(1);
  auto handler = echo_handler();
  auto server = NngServer::start({.url = "tcp://127.0.0.1:0"}, shards.all(), handler).value();
  test::TcpProxy line(server->port());
  auto channel = connect_nng(fmt::format("tcp://127.0.0.1:{}", line.port()), {.silence_min = 50ms}).value();
  const auto call = [&](std::size_t size, Duration timeout) {
    auto result = std::make_shared<std::promise<std::optional<Errc>>>();
    channel->send(Payload(request_frame(1, pattern(size))), timeout, [result](const auto& answer) {
      result->set_value(answer ? std::nullopt : std::optional(answer.error().code));
    });
    return result->get_future();
  };
  ASSERT_EQ(call(0, 10s).get(), std::nullopt);
  line.forget();
  auto writing = call(32u << 20, 60s), queued = call(0, 60s);  // more than the sockets' buffers take
  EXPECT_EQ(call(0, 100ms).get(), Errc::kTimeout);
  EXPECT_EQ(writing.get(), Errc::kUnavailable);
  EXPECT_EQ(queued.get(), Errc::kUnavailable);
  EXPECT_EQ(call(0, 10s).get(), std::nullopt);
  channel.reset();
  server->stop();
}

TEST(NngClient, ATimeoutBesideOtherAnswersLeavesTheConnection) {
  Shards shards(1);
  std::vector<Responder> held;
  FunctionHandler handler([&](IncomingRequest request, Responder responder) {
    if (id_of(request.frame) == 1) held.push_back(std::move(responder));
    else responder.respond(echo_of(request.frame));
  });
  auto server = NngServer::start({.url = "tcp://127.0.0.1:0"}, shards.all(), handler).value();
  auto channel = connect_nng(server->url(), {.silence_min = 50ms}).value();
  std::promise<Errc> unanswered;
  channel->send(Payload(request_frame(1, {})), 1s,
                [&](auto result) { unanswered.set_value(result.error().code); });
  std::promise<bool> answered;
  channel->send(Payload(request_frame(2, {})), 10s,
                [&](const auto& result) { answered.set_value(result.has_value()); });
  EXPECT_TRUE(answered.get_future().get());
  EXPECT_EQ(unanswered.get_future().get(), Errc::kTimeout);
  EXPECT_TRUE(channel->connected());
  EXPECT_EQ(server->stats().pipes_accepted, 1u);
  channel.reset();
  server->stop();
}

TEST(NngClient, AnAnswerThatComesTooLateShowsThatThePeerLives) {
  Shards shards(1);
  std::atomic<int> arrived{0};
  std::vector<std::pair<Payload, Responder>> held;
  FunctionHandler handler([&](IncomingRequest request, Responder responder) {
    held.emplace_back(echo_of(request.frame), std::move(responder));
    ++arrived;
    if (id_of(request.frame) == 2) held.front().second.respond(std::move(held.front().first));
  });
  auto server = NngServer::start({.url = "tcp://127.0.0.1:0"}, shards.all(), handler).value();
  auto channel = connect_nng(server->url(), {.silence_min = 500ms}).value();
  const auto error_of_call = [&](std::int32_t id, Duration timeout) {
    std::promise<Errc> error;
    channel->send(Payload(request_frame(id, {})), timeout,
                  [&](auto result) { error.set_value(result.error().code); });
    return error.get_future().get();
  };
  while (arrived == 0) EXPECT_EQ(error_of_call(1, 50ms), Errc::kTimeout);
  EXPECT_EQ(error_of_call(2, 1s), Errc::kTimeout);  // meanwhile 1 is answered
  EXPECT_TRUE(channel->connected());
  EXPECT_EQ(server->stats().pipes_accepted, 1u);
  channel.reset();
  server->stop();
}

TEST(KafkaTcpClient, AnAnswerOfAnotherRequestClosesTheConnection) {
  Shards shards(1);
  FunctionHandler handler([](IncomingRequest, Responder responder) {
    responder.respond(Payload(Bytes{0, 0, 0, 99, 1, 2, 3}));
  });
  KafkaTcpServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  auto server = KafkaTcpServer::start(options, shards.all(), handler).value();
  auto channel = connect_kafka_tcp("127.0.0.1", server->port()).value();
  std::promise<Result<SharedBytes>> promise;
  channel->send(Payload(request_frame(1, {})), 10s, [&](auto result) { promise.set_value(std::move(result)); });
  const auto result = promise.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kCorrupt);
}

TEST(KafkaTcpClient, ASilentPeerIsTakenForDeadAfterATimeout) {
  Shards shards(1);
  std::vector<Responder> held;
  FunctionHandler handler([&](IncomingRequest, Responder responder) { held.push_back(std::move(responder)); });
  KafkaTcpServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.half_closed_timeout = 50ms;
  auto server = KafkaTcpServer::start(options, shards.all(), handler).value();
  auto channel = connect_kafka_tcp("127.0.0.1", server->port()).value();
  std::promise<Errc> first, second;
  channel->send(Payload(request_frame(1, {})), 100ms, [&](auto result) { first.set_value(result.error().code); });
  channel->send(Payload(request_frame(2, {})), 60s, [&](auto result) { second.set_value(result.error().code); });
  EXPECT_EQ(first.get_future().get(), Errc::kTimeout);
  EXPECT_EQ(second.get_future().get(), Errc::kUnavailable);
  EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
  server->stop();
}

}  // namespace
}  // namespace tributary
