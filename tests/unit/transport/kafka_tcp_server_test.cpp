#include "common/transport/kafka_tcp_server.h"

#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

class KafkaTcpServerTest : public testing::Test {
 protected:
  KafkaTcpServerTest() { options_.host = "127.0.0.1"; options_.port = 0; }

  void serve(FunctionHandler::Function function) {
    handler_ = std::make_unique<FunctionHandler>(std::move(function));
    auto server = KafkaTcpServer::start(options_, shards_.all(), *handler_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void serve_echo() {
    serve([](IncomingRequest request, Responder responder) { responder.respond(echo_of(request.frame)); });
  }
  void expect_echo(TcpPeer& peer, std::size_t size = 100) {
    const auto frame = request_frame(1, pattern(size));
    ASSERT_TRUE(peer.send_frame(frame));
    EXPECT_EQ(peer.receive_frame(), Bytes(frame.begin() + 4, frame.end()));
  }

  KafkaTcpServerOptions options_;
  Shards shards_{2};
  std::unique_ptr<FunctionHandler> handler_;
  std::unique_ptr<KafkaTcpServer> server_;
};

TEST_F(KafkaTcpServerTest, EchoesSmallAndLargeFrames) {
  serve_echo();
  TcpPeer peer(server_->port());
  for (const std::size_t size : {0u, 1u, 100u, 65'536u, 1u << 20, 5u << 20}) expect_echo(peer, size);
  EXPECT_EQ(server_->stats().requests, 6u);
  EXPECT_EQ(server_->stats().connections_open, 1u);
  EXPECT_GT(server_->stats().bytes_in, 6u << 20);
}

TEST_F(KafkaTcpServerTest, ConnectionsAreSpreadOverTheShards) {
  std::mutex mutex;
  std::set<std::size_t> shards;
  std::set<std::uint64_t> connections;
  serve([&](IncomingRequest request, Responder responder) {
    {
      const std::lock_guard lock(mutex);
      shards.insert(request.shard);
      connections.insert(request.connection_id);
      EXPECT_THAT(*request.peer, testing::StartsWith("127.0.0.1:"));
    }
    responder.respond(echo_of(request.frame));
  });
  std::vector<TcpPeer> peers;
  for (int i = 0; i < 4; ++i) peers.emplace_back(server_->port());
  for (auto& peer : peers) expect_echo(peer);
  EXPECT_EQ(shards.size(), 2u);
  EXPECT_EQ(connections.size(), 4u);
}

TEST_F(KafkaTcpServerTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  // Answers each group of four backwards.
  std::vector<std::pair<IncomingRequest, Responder>> held;
  std::int32_t next = 0;
  serve([&](IncomingRequest request, Responder responder) {
    EXPECT_EQ(id_of(request.frame), next++);
    held.emplace_back(std::move(request), std::move(responder));
    if (held.size() < 4) return;
    while (!held.empty()) {
      held.back().second.respond(echo_of(held.back().first.frame));
      held.pop_back();
    }
  });
  TcpPeer peer(server_->port());
  Bytes all;
  ByteWriter writer(all);
  for (std::int32_t id = 0; id < 1000; ++id) {
    const auto frame = request_frame(id, pattern(static_cast<std::size_t>(id)));
    writer.i32(static_cast<std::int32_t>(frame.size()));
    writer.bytes(frame);
  }
  std::thread sender([&] { EXPECT_TRUE(peer.send(all)); });
  for (std::int32_t id = 0; id < 1000; ++id) {
    const auto answer = peer.receive_frame();
    ASSERT_GE(answer.size(), 4u);
    ASSERT_EQ(ByteReader(answer).i32(), id);
  }
  sender.join();
  server_->stop();
}

TEST_F(KafkaTcpServerTest, RequestsInFlightAreBounded) {
  options_.requests_in_flight_max = 8;
  std::atomic<int> handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    held.push_back(std::move(responder));
    ++handled;
  });
  TcpPeer peer(server_->port());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(peer.send_frame(request_frame(i, {})));
  ASSERT_TRUE(eventually([&] { return handled == 8; }));
  // One answer lets one more in.
  asio::post(shards_.at(0), [&] { held[0].respond(Payload(pattern(4))); });
  EXPECT_EQ(peer.receive_frame().size(), 4u);
  ASSERT_TRUE(eventually([&] { return handled == 9; }));
  server_->stop();
  EXPECT_EQ(handled, 9);
}

TEST_F(KafkaTcpServerTest, ABigRequestHoldsBackTheNext) {
  options_.request_bytes_in_flight_max = 1000;
  std::atomic<int> handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    held.push_back(std::move(responder));
    ++handled;
  });
  TcpPeer peer(server_->port());
  ASSERT_TRUE(peer.send_frame(request_frame(0, pattern(100'000))));
  ASSERT_TRUE(peer.send_frame(request_frame(1, {})));
  ASSERT_TRUE(eventually([&] { return handled == 1; }));
  asio::post(shards_.at(0), [&] { held[0].no_answer(); });
  EXPECT_TRUE(eventually([&] { return handled == 2; }));
  server_->stop();
}

TEST_F(KafkaTcpServerTest, ARequestWithoutAnAnswerIsPassedOver) {
  serve([](IncomingRequest request, Responder responder) {
    if (id_of(request.frame) == 1) return responder.no_answer();
    responder.respond(echo_of(request.frame));
  });
  TcpPeer peer(server_->port());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(peer.send_frame(request_frame(i, {})));
  EXPECT_EQ(ByteReader(peer.receive_frame()).i32(), 0);
  EXPECT_EQ(ByteReader(peer.receive_frame()).i32(), 2);
}

TEST_F(KafkaTcpServerTest, FileSlicesReachASlowReaderUnchanged) {
  const auto content = pattern(8u << 20);
  TemporaryFile file(content);
  const auto memory = std::make_shared<MemoryFile>(content);
  serve([&](IncomingRequest request, Responder responder) {
    Payload answer(request.frame.sub(request.frame.view().subspan(4, 4)));
    answer.append(FileSlice{file.file(), 12'345, 6u << 20});
    answer.append(SharedBytes(pattern(333, 9)));
    answer.append(FileSlice{memory, 1, 200'000});
    responder.respond(std::move(answer));
  });
  TcpPeer peer(server_->port(), 8192);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(peer.send_frame(request_frame(i, {})));
  Payload body;
  body.append(FileSlice{memory, 12'345, 6u << 20});
  body.append(SharedBytes(pattern(333, 9)));
  body.append(FileSlice{memory, 1, 200'000});
  const auto expected = body.flatten().value();
  for (std::int32_t i = 0; i < 2; ++i) {
    const auto answer = peer.receive_frame();
    ASSERT_EQ(answer.size(), expected.size() + 4);
    EXPECT_EQ(ByteReader(answer).i32(), i);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), answer.begin() + 4));
  }
}

TEST_F(KafkaTcpServerTest, ATruncatedFileClosesTheConnectionAndIsReported) {
  std::promise<std::string> event;
  options_.on_event = [&](const std::string& what) { event.set_value(what); };
  TemporaryFile file(pattern(1000));
  serve([&](IncomingRequest, Responder responder) {
    Payload answer;
    answer.append(FileSlice{file.file(), 0, 2000});
    responder.respond(std::move(answer));
  });
  TcpPeer peer(server_->port());
  ASSERT_TRUE(peer.send_frame(request_frame(1, {})));
  EXPECT_LT(peer.receive(2004).size(), 2004u);
  EXPECT_THAT(event.get_future().get(), testing::HasSubstr("1000 bytes short"));
}

TEST_F(KafkaTcpServerTest, ImpossibleLengthsCloseOnlyTheirOwnConnection) {
  options_.frame_bytes_max = 1000;
  std::mutex mutex;
  std::vector<std::string> events;
  options_.on_event = [&](const std::string& what) {
    const std::lock_guard lock(mutex);
    events.push_back(what);
  };
  serve_echo();
  TcpPeer good(server_->port());
  for (const std::int32_t length : {-1, 0, 7, 1001, 0x15030100, std::numeric_limits<std::int32_t>::min()}) {
    TcpPeer bad(server_->port());
    Bytes prefix;
    ByteWriter(prefix).i32(length);
    ASSERT_TRUE(bad.send(prefix));
    EXPECT_TRUE(bad.closed()) << length;
  }
  expect_echo(good);
  EXPECT_EQ(server_->stats().malformed, 6u);
  EXPECT_TRUE(eventually([&] { return server_->stats().connections_open == 1; }));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(events.size(), 6u);
  EXPECT_THAT(events[3], testing::HasSubstr("a frame of 1001 bytes is over the limit of 1000"));
}

TEST_F(KafkaTcpServerTest, GarbageDoesNotDisturbOthers) {
  options_.frame_bytes_max = 1 << 20;
  serve_echo();
  TcpPeer good(server_->port());
  SeededRandom random(42);
  for (int i = 0; i < 30; ++i) {
    TcpPeer bad(server_->port());
    Bytes garbage(random.below(3000));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random.next_u64());
    (void)bad.send(garbage);
    if (i % 3 == 0) bad.finish_sending();
  }
  expect_echo(good);
  EXPECT_TRUE(eventually([&] { return server_->stats().connections_open == 1; }));
}

TEST_F(KafkaTcpServerTest, AnnouncedFramesThatNeverArriveCostNoMemory) {
  serve_echo();
  const auto before = resident_bytes();
  std::vector<TcpPeer> peers;
  for (int i = 0; i < 50; ++i) {
    peers.emplace_back(server_->port());
    ASSERT_TRUE(peers.back().send(Bytes{0x06, 0x00, 0x00, 0x00, 1, 2, 3}));  // 96 MiB
  }
  ASSERT_TRUE(eventually([&] { return server_->stats().bytes_in == 50u * 7; }));
  EXPECT_LT(resident_bytes(), before + kShadow * (24u << 20));
}

TEST_F(KafkaTcpServerTest, LargeFramesThatArriveInPartShareABudget) {
  options_.frame_bytes_max = options_.partial_frame_bytes_max = 6u << 20;
  serve_echo();
  const auto body = pattern(4u << 20);
  const auto frame = request_frame(1, body);
  Bytes part;
  ByteWriter writer(part);
  writer.i32(static_cast<std::int32_t>(frame.size()));
  writer.bytes(ByteView(frame).first(frame.size() / 2));
  auto half = std::make_optional<TcpPeer>(server_->port());
  ASSERT_TRUE(half->send(part));
  ASSERT_TRUE(eventually([&] { return server_->stats().bytes_in == part.size(); }));

  TcpPeer whole(server_->port()), small(server_->port());
  std::thread sender([&] { EXPECT_TRUE(whole.send_frame(frame)); });
  pollfd answer{whole.native(), POLLIN, 0};
  EXPECT_EQ(::poll(&answer, 1, 300), 0);  // it waits
  expect_echo(small);
  half.reset();
  EXPECT_EQ(whole.receive_frame().size(), body.size() + 4);
  sender.join();
}

TEST_F(KafkaTcpServerTest, APeerThatStopsWithinAFrameIsClosedAndItsBudgetIsFree) {
  options_.frame_bytes_max = options_.partial_frame_bytes_max = 6u << 20;
  options_.frame_timeout = 100ms;
  serve_echo();
  TcpPeer quiet(server_->port()), stuck(server_->port()), barely(server_->port());
  expect_echo(quiet);
  const Bytes prefix{0, 0x40, 0, 8};
  ASSERT_TRUE(stuck.send(prefix));
  ASSERT_TRUE(stuck.send(pattern(100'000)));
  ASSERT_TRUE(barely.send(ByteView(prefix).first(3)));
  TcpPeer whole(server_->port());
  ASSERT_TRUE(whole.send_frame(request_frame(1, pattern(4u << 20))));
  EXPECT_EQ(whole.receive_frame().size(), (4u << 20) + 4);
  EXPECT_TRUE(stuck.closed());
  EXPECT_TRUE(barely.closed());
  EXPECT_EQ(server_->stats().connections_idle_closed, 2u);
  expect_echo(quiet);
}

TEST_F(KafkaTcpServerTest, APeerThatNeverReadsIsNotReadFrom) {
  options_.answer_bytes_queued_max = 1 << 20;
  serve([](IncomingRequest, Responder responder) { responder.respond(Payload(Bytes(64 << 10))); });
  TcpPeer peer(server_->port(), 8192);
  const timeval limit{0, 200'000};
  ::setsockopt(peer.native(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const auto before = resident_bytes();
  // Would be answered by gigabytes.
  const auto frame = request_frame(1, pattern(1000));
  int sent = 0;
  while (sent < 20'000 && peer.send_frame(frame)) ++sent;
  EXPECT_LT(sent, 20'000);
  EXPECT_LT(server_->stats().requests, 1000u);
  EXPECT_LT(resident_bytes(), before + kShadow * (32u << 20));
}

TEST_F(KafkaTcpServerTest, AHalfClosedPeerStillGetsItsAnswers) {
  std::vector<std::pair<IncomingRequest, Responder>> held;
  std::atomic<int> handled{0};
  serve([&](IncomingRequest request, Responder responder) {
    held.emplace_back(std::move(request), std::move(responder));
    ++handled;
  });
  TcpPeer peer(server_->port());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(peer.send_frame(request_frame(i, pattern(50))));
  peer.finish_sending();
  ASSERT_TRUE(eventually([&] { return handled == 3; }));
  asio::post(shards_.at(0), [&] {
    for (auto& [request, responder] : held) responder.respond(echo_of(request.frame));
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ByteReader(peer.receive_frame()).i32(), i);
  EXPECT_TRUE(peer.closed());
  EXPECT_TRUE(eventually([&] { return server_->stats().connections_open == 0; }));
  server_->stop();
}

TEST_F(KafkaTcpServerTest, AWatchIsToldWhenTheConnectionEndsOrItsPeerFinishes) {
  std::atomic<int> told{0}, replaced{0}, handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest request, Responder responder) {
    responder.watch_connection([&] { ++replaced; });
    responder.watch_connection([&] { ++told; });
    // Whether the request has been answered does not matter.
    if (request.shard == 0) responder.respond(echo_of(request.frame));
    else held.push_back(std::move(responder));
    ++handled;
  });
  const auto ask = [&](TcpPeer& peer) {
    const auto before = handled.load();
    EXPECT_TRUE(peer.send_frame(request_frame(1, {})));
    EXPECT_TRUE(eventually([&] { return handled > before; }));
  };
  for (int i = 0; i < 2; ++i) {
    TcpPeer gone(server_->port());
    ask(gone);
    EXPECT_EQ(told, i);
  }
  EXPECT_TRUE(eventually([&] { return told == 2; }));
  for (int i = 0; i < 2; ++i) {
    TcpPeer finished(server_->port());
    ask(finished);
    finished.finish_sending();
    EXPECT_TRUE(eventually([&] { return told == 3 + i; }));
  }
  TcpPeer reset(server_->port());
  ask(reset);
  const linger at_once{1, 0};
  ::setsockopt(reset.native(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  { TcpPeer closing(std::move(reset)); }
  EXPECT_TRUE(eventually([&] { return told == 5; }));
  server_->stop();
  EXPECT_EQ(told, 5);
  EXPECT_EQ(replaced, 0);
}

TEST_F(KafkaTcpServerTest, AWatchIsToldWhenTheServerClosesTheConnectionButNotWhenItStops) {
  std::atomic<int> told{0}, handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest request, Responder responder) {
    responder.watch_connection([&] { ++told; });
    if (id_of(request.frame) != 0) held.push_back(std::move(responder));
    ++handled;
  });
  TcpPeer stays(server_->port());
  ASSERT_TRUE(stays.send_frame(request_frame(1, {})));
  ASSERT_TRUE(eventually([&] { return handled == 1; }));
  TcpPeer dropped(server_->port());
  ASSERT_TRUE(dropped.send_frame(request_frame(0, {})));
  EXPECT_TRUE(dropped.closed());
  EXPECT_TRUE(eventually([&] { return told == 1; }));
  server_->stop();
  shards_.join();
  EXPECT_EQ(told, 1);
}

TEST_F(KafkaTcpServerTest, AWatchOnAConnectionThatHasEndedIsToldSoon) {
  std::atomic<int> told{0}, handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) {
    if (handled == 0) held.push_back(std::move(responder));  // the others come later, on any shard
    ++handled;
  });
  {
    TcpPeer gone(server_->port());
    ASSERT_TRUE(gone.send_frame(request_frame(1, {})));
    ASSERT_TRUE(eventually([&] { return handled == 1; }));
  }
  // Each loop has looked at its sockets since, and taken what was ready first.
  TcpPeer one(server_->port()), other(server_->port());
  for (auto* peer : {&one, &other}) ASSERT_TRUE(peer->send_frame(request_frame(1, {})));
  ASSERT_TRUE(eventually([&] { return handled == 3; }));
  asio::post(shards_.at(0), [&] { held[0].watch_connection([&] { ++told; }); });
  EXPECT_TRUE(eventually([&] { return told == 1; }));
  server_->stop();
}

TEST_F(KafkaTcpServerTest, AResponderDestroyedUnansweredClosesTheConnection) {
  serve([](IncomingRequest, Responder) {});
  TcpPeer peer(server_->port());
  ASSERT_TRUE(peer.send_frame(request_frame(1, {})));
  EXPECT_TRUE(peer.closed());
}

TEST_F(KafkaTcpServerTest, IdleConnectionsAreClosedAndBusyOnesKept) {
  options_.idle_timeout = 500ms;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) { held.push_back(std::move(responder)); });
  TcpPeer busy(server_->port());
  ASSERT_TRUE(busy.send_frame(request_frame(1, {})));
  TcpPeer idle(server_->port());
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(server_->stats().connections_idle_closed, 1u);
  asio::post(shards_.at(0), [&] { held[0].respond(Payload(pattern(4))); });
  EXPECT_EQ(busy.receive_frame().size(), 4u);
  server_->stop();
}

TEST_F(KafkaTcpServerTest, ConnectionsOverTheLimitAreRefused) {
  options_.connections_max = 2;
  serve_echo();
  TcpPeer first(server_->port()), second(server_->port());
  expect_echo(first);
  expect_echo(second);
  TcpPeer third(server_->port());
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(server_->stats().connections_refused, 1u);
  expect_echo(first);
}

TEST_F(KafkaTcpServerTest, APortInUseIsNamed) {
  serve_echo();
  options_.port = server_->port();
  const auto second = KafkaTcpServer::start(options_, shards_.all(), *handler_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_EQ(second.error().message,
            fmt::format("kafka listener 127.0.0.1:{}: the port is in use", options_.port));
}

TEST_F(KafkaTcpServerTest, AnAddressThatIsNotOursIsRefused) {
  auto handler = echo_handler();
  for (const auto* host : {"192.0.2.1", "no.such.host.invalid"}) {
    options_.host = host;
    const auto server = KafkaTcpServer::start(options_, shards_.all(), handler);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, Errc::kInvalidArgument);
    EXPECT_THAT(server.error().message, testing::HasSubstr(host));
  }
}

TEST_F(KafkaTcpServerTest, StopWithRequestsOutstandingLeavesHarmlessResponders) {
  std::vector<Responder> held;
  std::atomic<int> handled{0};
  serve([&](IncomingRequest, Responder responder) {
    held.push_back(std::move(responder));
    ++handled;
  });
  std::vector<TcpPeer> peers;
  for (int i = 0; i < 2; ++i) {
    peers.emplace_back(server_->port());
    ASSERT_TRUE(peers.back().send_frame(request_frame(i, {})));
    ASSERT_TRUE(eventually([&] { return handled == i + 1; }));
  }
  server_->stop();
  for (auto& peer : peers) EXPECT_TRUE(peer.closed());
  EXPECT_EQ(server_->stats().connections_open, 0u);
  server_.reset();
  shards_.join();
  held[0].respond(Payload(pattern(10)));
  held.clear();
}

TEST_F(KafkaTcpServerTest, StopsThoughItsShardsNeverRanOrHaveEnded) {
  auto handler = echo_handler();
  {
    asio::io_context never_run;
    auto server = KafkaTcpServer::start(options_, {&never_run}, handler);
    ASSERT_TRUE(server);
  }
  serve_echo();
  TcpPeer peer(server_->port());
  expect_echo(peer);
  shards_.join();
  server_->stop();
  EXPECT_TRUE(peer.closed());
  server_.reset();
}

TEST_F(KafkaTcpServerTest, ManyPeersComeAndGoWhileItStops) {
  serve_echo();
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      while (!done) {
        const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server_->port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
          const auto frame = request_frame(1, pattern(100));
          const Bytes prefix = {0, 0, 0, static_cast<std::uint8_t>(frame.size())};
          ::send(socket, prefix.data(), 4, MSG_NOSIGNAL);
          ::send(socket, frame.data(), frame.size(), MSG_NOSIGNAL);
        }
        ::close(socket);
      }
    });
  EXPECT_TRUE(eventually([&] { return server_->stats().requests > 300; }));
  server_->stop();
  done = true;
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return server_->stats().connections_open == 0; }));
}

}  // namespace
}  // namespace tributary
