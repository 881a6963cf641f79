#include "common/transport/nng_server.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>

#include "common/transport/client.h"
#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

/// A raw REQ socket: sees each answer as it comes, matched by the id that it put into the header.
class RawReqPeer {
 public:
  explicit RawReqPeer(const std::string& url) {
    EXPECT_EQ(nng_req0_open_raw(&socket_), 0);
    nng_socket_set_ms(socket_, NNG_OPT_RECVTIMEO, 10'000);
    nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0);
    EXPECT_EQ(nng_dial(socket_, url.c_str(), nullptr, 0), 0);
  }
  ~RawReqPeer() { nng_close(socket_); }
  void send(std::uint32_t id, ByteView body) {
    nng_msg* message = nullptr;
    ASSERT_EQ(nng_msg_alloc(&message, 0), 0);
    nng_msg_append(message, body.data(), body.size());
    nng_msg_header_append_u32(message, 0x80000000u | id);
    ASSERT_EQ(nng_sendmsg(socket_, message, 0), 0);
  }
  std::optional<std::pair<std::uint32_t, Bytes>> receive() {
    nng_msg* message = nullptr;
    if (nng_recvmsg(socket_, &message, 0) != 0) return std::nullopt;
    std::uint32_t id = 0;
    nng_msg_header_trim_u32(message, &id);
    const auto* body = static_cast<const std::uint8_t*>(nng_msg_body(message));
    Bytes bytes(body, body + nng_msg_len(message));
    nng_msg_free(message);
    return std::pair(id & 0x7fffffffu, std::move(bytes));
  }
  nng_socket socket() const { return socket_; }

 private:
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
};

class NngServerTest : public testing::Test {
 protected:
  NngServerTest() { options_.url = "tcp://127.0.0.1:0"; }
  void serve(FunctionHandler::Function function) {
    handler_ = std::make_unique<FunctionHandler>(std::move(function));
    auto server = NngServer::start(options_, shards_.all(), *handler_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void serve_echo() {
    serve([](IncomingRequest request, Responder responder) { responder.respond(echo_of(request.frame)); });
  }
  void expect_echo(RawReqPeer& peer, std::size_t size = 100) {
    const auto frame = request_frame(1, pattern(size));
    peer.send(77, frame);
    const auto answer = peer.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->first, 77u);
    EXPECT_EQ(answer->second, Bytes(frame.begin() + 4, frame.end()));
  }

  NngServerOptions options_;
  Shards shards_{2};
  std::unique_ptr<FunctionHandler> handler_;
  std::unique_ptr<NngServer> server_;
};

TEST_F(NngServerTest, EchoesSmallAndLargeFrames) {
  serve_echo();
  RawReqPeer peer(server_->url());
  for (const std::size_t size : {0u, 1u, 100u, 65'536u, 1u << 20, 5u << 20}) expect_echo(peer, size);
  EXPECT_EQ(server_->stats().requests, 6u);
  EXPECT_EQ(server_->stats().pipes_open, 1u);
  EXPECT_EQ(server_->url(), fmt::format("tcp://127.0.0.1:{}", server_->port()));
}

TEST_F(NngServerTest, ThePeerIsNamed) {
  std::promise<IncomingRequest> seen;
  serve([&](IncomingRequest request, Responder responder) {
    responder.respond(echo_of(request.frame));
    seen.set_value(std::move(request));
  });
  RawReqPeer peer(server_->url());
  expect_echo(peer);
  const auto request = seen.get_future().get();
  EXPECT_THAT(*request.peer, testing::StartsWith("127.0.0.1:"));
  EXPECT_EQ(request.listener, Listener::kNng);
}

TEST_F(NngServerTest, RequestsOfAPipeAreHandedOverInOrderOnOneShard) {
  std::mutex mutex;
  std::map<std::uint64_t, std::int32_t> next;
  std::map<std::uint64_t, std::size_t> shard;
  serve([&](IncomingRequest request, Responder responder) {
    {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(id_of(request.frame), next[request.connection_id]++);
      EXPECT_EQ(shard.emplace(request.connection_id, request.shard).first->second, request.shard);
    }
    responder.respond(echo_of(request.frame));
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      RawReqPeer peer(server_->url());
      std::uint32_t sent = 0;
      for (std::uint32_t received = 0; received < 500; ++received) {
        while (sent < 500 && sent < received + 30) {
          peer.send(sent, request_frame(static_cast<std::int32_t>(sent), {}));
          ++sent;
        }
        const auto answer = peer.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->first, received);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(shard.size(), 2u);
}

TEST_F(NngServerTest, AnswersMayBeGivenLaterAndInAnyOrder) {
  std::vector<std::pair<IncomingRequest, Responder>> held;
  serve([&](IncomingRequest request, Responder responder) {
    held.emplace_back(std::move(request), std::move(responder));
    if (held.size() < 3) return;
    while (!held.empty()) {
      held.back().second.respond(echo_of(held.back().first.frame));
      held.pop_back();
    }
  });
  RawReqPeer peer(server_->url());
  for (std::uint32_t id = 0; id < 3; ++id) peer.send(id, request_frame(0, {}));
  for (const std::uint32_t id : {2u, 1u, 0u}) {
    const auto answer = peer.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->first, id);
  }
  server_->stop();
}

TEST_F(NngServerTest, FileSlicesAreReadIntoTheAnswer) {
  const auto content = pattern(1 << 20);
  TemporaryFile file(content);
  serve([&](IncomingRequest request, Responder responder) {
    Payload answer(request.frame.sub(request.frame.view().subspan(4, 4)));
    answer.append(FileSlice{file.file(), 100, 1'000'000});
    responder.respond(std::move(answer));
  });
  RawReqPeer peer(server_->url());
  peer.send(1, request_frame(9, {}));
  const auto answer = peer.receive();
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->second.size(), 1'000'004u);
  EXPECT_TRUE(std::equal(answer->second.begin() + 4, answer->second.end(), content.begin() + 100));
}

TEST_F(NngServerTest, ATruncatedFileDropsTheRequestAndIsReported) {
  std::promise<std::string> event;
  options_.on_event = [&](const std::string& what) { event.set_value(what); };
  TemporaryFile file(pattern(1000));
  serve([&](IncomingRequest request, Responder responder) {
    if (id_of(request.frame) == 1) return responder.respond(echo_of(request.frame));
    Payload answer;
    answer.append(FileSlice{file.file(), 0, 2000});
    responder.respond(std::move(answer));
  });
  RawReqPeer peer(server_->url());
  peer.send(1, request_frame(0, {}));
  expect_echo(peer);
  EXPECT_THAT(event.get_future().get(), testing::HasSubstr("1000 bytes short"));
}

TEST_F(NngServerTest, AnOversizeMessageClosesItsPipeAndADwarfIsDropped) {
  options_.frame_bytes_max = 10'000;
  serve_echo();
  RawReqPeer good(server_->url());
  expect_echo(good);
  {
    RawReqPeer big(server_->url());
    big.send(1, request_frame(1, pattern(20'000)));
    RawReqPeer dwarf(server_->url());
    dwarf.send(1, pattern(7));
    EXPECT_TRUE(eventually([&] { return server_->stats().malformed == 1; }));
    EXPECT_TRUE(eventually([&] { return server_->stats().pipes_accepted > 3; }));  // it dialled again
    expect_echo(dwarf);
  }
  EXPECT_TRUE(eventually([&] { return server_->stats().pipes_open == 1; }));
  EXPECT_EQ(server_->stats().requests, 2u);
  expect_echo(good);
}

TEST_F(NngServerTest, GarbageAndForeignProtocolsDoNotDisturbOthers) {
  serve_echo();
  RawReqPeer good(server_->url());
  SeededRandom random(43);
  for (int i = 0; i < 5; ++i) {
    TcpPeer bad(server_->port());
    Bytes garbage(1 + random.below(3000));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random.next_u64());
    (void)bad.send(garbage);
  }
  {
    // A proper SP greeting as REQ, then a message without a request id, and one of 2^62 bytes.
    const Bytes greeting = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    for (const Bytes& message : {Bytes{0, 0, 0, 0, 0, 0, 0, 2, 1, 2}, Bytes{0x40, 0, 0, 0, 0, 0, 0, 0, 1}}) {
      TcpPeer bad(server_->port());
      ASSERT_TRUE(bad.send(greeting));
      ASSERT_TRUE(bad.send(message));
      EXPECT_EQ(bad.receive(8).size(), 8u);
      EXPECT_TRUE(bad.closed());
    }
    nng_socket subscriber = NNG_SOCKET_INITIALIZER;
    ASSERT_EQ(nng_sub0_open(&subscriber), 0);
    nng_dial(subscriber, server_->url().c_str(), nullptr, NNG_FLAG_NONBLOCK);
    expect_echo(good);
    nng_close(subscriber);
  }
  expect_echo(good);
  EXPECT_EQ(server_->stats().malformed, 0u);
}

TEST_F(NngServerTest, ReceivingStopsAtTheLimitAndGoesOnAfterAnswers) {
  options_.requests_in_flight_max = 4;
  std::vector<Responder> held;
  std::atomic<int> handled{0};
  serve([&](IncomingRequest, Responder responder) {
    held.push_back(std::move(responder));
    ++handled;
  });
  auto channel = connect_nng(server_->url()).value();
  std::atomic<int> answered{0};
  for (int i = 0; i < 20; ++i)
    channel->send(Payload(request_frame(i, {})), 10s, [&](auto result) { answered += result.has_value(); });
  ASSERT_TRUE(eventually([&] { return handled == 4; }));
  for (int round = 1; round <= 4; ++round) {
    asio::post(shards_.at(0), [&] {
      for (auto& responder : held)
        if (responder) responder.respond(Payload(pattern(4)));
    });
    ASSERT_TRUE(eventually([&] { return handled == 4 + 4 * round; })) << handled;
  }
  EXPECT_TRUE(eventually([&] { return answered == 16; }));
  channel.reset();
  server_->stop();
}

TEST_F(NngServerTest, RequestsBeyondTheLimitOfAPipeAreDropped) {
  options_.requests_in_flight_per_pipe_max = 10;
  std::vector<Responder> held;
  serve([&](IncomingRequest, Responder responder) { held.push_back(std::move(responder)); });
  RawReqPeer peer(server_->url());
  for (std::uint32_t id = 0; id < 11; ++id) peer.send(id, request_frame(0, {}));
  EXPECT_TRUE(eventually([&] { return server_->stats().requests_dropped == 1; }));
  EXPECT_EQ(server_->stats().requests, 10u);
  server_->stop();
}

TEST_F(NngServerTest, APeerThatDoesNotReadGetsNoMoreUntilItDoes) {
  options_.answer_bytes_queued_per_pipe_max = 8u << 20;
  serve([&](IncomingRequest, Responder responder) { responder.respond(Payload(pattern(1 << 20))); });
  const auto before = resident_bytes();
  // A REQ peer by hand, since nng always reads.
  TcpPeer peer(server_->port(), 8192);
  ASSERT_TRUE(peer.send(Bytes{0, 'S', 'P', 0, 0, 0x30, 0, 0}));
  ASSERT_EQ(peer.receive(8).size(), 8u);
  Bytes message;
  ByteWriter writer(message);
  const auto frame = request_frame(1, {});
  writer.i64(static_cast<std::int64_t>(frame.size() + 4));
  writer.u32(0x80000001u);
  writer.bytes(frame);
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(peer.send(message));
    return server_->stats().requests_dropped > 0;
  }));
  EXPECT_LT(server_->stats().bytes_out, 60u << 20);
  EXPECT_LT(resident_bytes(), before + kShadow * (64u << 20));

  const auto answered = server_->stats().bytes_out >> 20;
  // What is left is less than may wait, however little of it the kernel holds.
  for (std::uint64_t i = 0; i < answered - 4; ++i) EXPECT_EQ(peer.receive((1u << 20) + 12).size(), (1u << 20) + 12);
  const auto requests = server_->stats().requests.load();
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(peer.send(message));
    return server_->stats().requests > requests;
  }));
}

TEST_F(NngServerTest, PipesOverTheLimitAreRefused) {
  options_.pipes_max = 1;
  serve_echo();
  RawReqPeer first(server_->url());
  expect_echo(first);
  nng_socket second = NNG_SOCKET_INITIALIZER;
  ASSERT_EQ(nng_req0_open(&second), 0);
  nng_dial(second, server_->url().c_str(), nullptr, NNG_FLAG_NONBLOCK);
  EXPECT_TRUE(eventually([&] { return server_->stats().pipes_refused > 0; }));
  nng_close(second);
  expect_echo(first);
}

TEST_F(NngServerTest, AWatchIsToldWhenThePipeEnds) {
  std::atomic<int> told{0}, replaced{0}, handled{0};
  std::vector<Responder> held;
  serve([&](IncomingRequest request, Responder responder) {
    responder.watch_connection([&] { ++replaced; });
    responder.watch_connection([&] { ++told; });
    if (id_of(request.frame) == 0) responder.respond(echo_of(request.frame));
    else held.push_back(std::move(responder));
    ++handled;
  });
  for (int i = 0; i < 2; ++i) {
    RawReqPeer gone(server_->url());
    gone.send(1, request_frame(i, {}));
    ASSERT_TRUE(eventually([&] { return handled == i + 1; }));
    EXPECT_EQ(told, i);
    // Closing with an answer on its way can hang nng.
    if (i == 0) {
      EXPECT_TRUE(gone.receive());
    }
  }
  EXPECT_TRUE(eventually([&] { return told == 2; }));
  for (auto& responder : held)  // of a pipe that has ended
    asio::post(shards_.at(0), [&] { responder.watch_connection([&] { ++told; }); });
  EXPECT_TRUE(eventually([&] { return told == 3; }));
  RawReqPeer stays(server_->url());
  stays.send(1, request_frame(0, {}));
  EXPECT_TRUE(stays.receive());
  server_->stop();
  shards_.join();
  EXPECT_EQ(told, 3);
  EXPECT_EQ(replaced, 0);
}

TEST_F(NngServerTest, AResponderDestroyedUnansweredDropsTheRequestOnly) {
  serve([](IncomingRequest request, Responder responder) {
    if (id_of(request.frame) == 1) responder.respond(echo_of(request.frame));
  });
  RawReqPeer peer(server_->url());
  peer.send(1, request_frame(0, {}));
  expect_echo(peer);
}

TEST_F(NngServerTest, APortInUseIsNamed) {
  serve_echo();
  options_.url = server_->url();
  const auto second = NngServer::start(options_, shards_.all(), *handler_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_EQ(second.error().message, fmt::format("nng listener {}: the port is in use", options_.url));
}

TEST_F(NngServerTest, ABadUrlIsRefused) {
  auto handler = echo_handler();
  for (const auto* url : {"", "nonsense", "tcp://", "tcp://127.0.0.1:99999", "ftp://127.0.0.1:1"}) {
    options_.url = url;
    const auto server = NngServer::start(options_, shards_.all(), handler);
    ASSERT_FALSE(server) << url;
    EXPECT_EQ(server.error().code, Errc::kInvalidArgument) << url << " " << server.error().message;
  }
}

TEST_F(NngServerTest, StopWithRequestsOutstandingLeavesHarmlessResponders) {
  std::vector<Responder> held;
  std::atomic<int> handled{0};
  serve([&](IncomingRequest, Responder responder) {
    held.push_back(std::move(responder));
    ++handled;
  });
  RawReqPeer peer(server_->url());
  for (std::uint32_t id = 0; id < 10; ++id) peer.send(id, request_frame(0, {}));
  ASSERT_TRUE(eventually([&] { return handled == 10; }));
  server_->stop();
  EXPECT_EQ(server_->stats().pipes_open, 0u);
  server_.reset();
  shards_.join();
  held[0].respond(Payload(pattern(10)));
  held.clear();
}

TEST_F(NngServerTest, StopsThoughItsShardNeverRan) {
  auto handler = echo_handler();
  asio::io_context never_run;
  auto server = NngServer::start(options_, {&never_run}, handler);
  ASSERT_TRUE(server);
  RawReqPeer peer((*server)->url());
  peer.send(1, request_frame(1, {}));
  EXPECT_TRUE(eventually([&] { return (*server)->stats().requests == 1; }));
  server->reset();
}

}  // namespace
}  // namespace tributary
