#include <sys/socket.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/connect.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <deque>
#include <thread>

#include "common/base/check.h"
#include "common/bytes/reader.h"
#include "common/transport/client.h"
#include "common/transport/frame_assembler.h"
#include "common/transport/frame_writer.h"

namespace tributary {
namespace {

using asio::ip::tcp;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kReadBytes = 64u << 10;
constexpr std::size_t kWriterBytes = 1u << 20;  // queued for the socket before more requests are taken

/// All state but the constants and `connected_` belongs to the channel's thread.
class KafkaTcpChannel final : public RequestChannel {
 public:
  KafkaTcpChannel(std::string host, std::uint16_t port, KafkaTcpClientOptions options)
      : host_(std::move(host)), port_(port), options_(std::move(options)) {
    wake_.expires_at(SteadyTime::max());
    asio::co_spawn(io_, [this] { return run(); }, asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~KafkaTcpChannel() override;

  void send(Payload frame, Duration timeout, Done done) override;
  bool connected() const override { return connected_; }

 private:
  struct Request {
    Payload frame;
    std::int32_t correlation_id = 0;
    SteadyTime deadline;
    SteadyTime sent_at;
    Done done;  // null once timed out in flight: its answer is still to come
  };
  struct Session {
    Session(tcp::socket s, std::size_t answer_bytes_max)
        : socket(std::move(s)), assembler(kAnswerBytesMin, answer_bytes_max) {}
    tcp::socket socket;
    FrameAssembler assembler;
    FrameWriter writer;
    SteadyTime last_received;
    bool over = false;
    Error why{Errc::kUnavailable, "the connection was lost"};
  };

  asio::awaitable<void> run();
  asio::awaitable<Result<tcp::socket>> connect();
  asio::awaitable<void> converse(std::shared_ptr<Session> session);
  asio::awaitable<void> read_loop(std::shared_ptr<Session> session);
  [[nodiscard]] Result<> read_once(Session& session, std::vector<std::uint8_t>& scratch);
  [[nodiscard]] Result<> match(const SharedBytes& answer);
  void end(Session& session, Error why);
  void enqueue(Request request);
  void arm_deadline(SteadyTime no_later_than);
  void check_deadlines();
  void fail_all(std::deque<Request>& requests, const Error& error);
  void set_connected(bool connected);

  const std::string host_;
  const std::uint16_t port_;
  const KafkaTcpClientOptions options_;
  std::atomic<bool> connected_{false};

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::steady_timer wake_{io_};      // never expires; cancelled when there is something to do
  asio::steady_timer deadline_{io_};  // of the earliest request
  bool deadline_armed_ = false;
  bool closing_ = false;
  std::deque<Request> waiting_;
  std::deque<Request> in_flight_;  // in the order of sending, which is that of the answers
  std::shared_ptr<Session> session_;
  std::thread thread_;
};

void KafkaTcpChannel::send(Payload frame, Duration timeout, Done done) {
  Request request;
  request.deadline = std::chrono::steady_clock::now() + timeout;
  request.done = std::move(done);
  if (frame.size_bytes() >= kRequestBytesMin) {
    const auto* head = std::get_if<SharedBytes>(&frame.parts().front());
    if (head == nullptr || head->size() < kRequestBytesMin) {
      if (auto flat = frame.flatten()) frame = Payload(std::move(*flat));
      else frame = Payload();
    }
  }
  if (frame.size_bytes() >= kRequestBytesMin) {
    ByteReader reader(std::get<SharedBytes>(frame.parts().front()).view());
    reader.skip(4);
    request.correlation_id = reader.i32();
    request.frame = std::move(frame);
  }
  asio::post(io_, [this, moved = std::move(request)]() mutable { enqueue(std::move(moved)); });
}

void KafkaTcpChannel::enqueue(Request request) {
  if (closing_) return request.done(fail(Errc::kUnavailable, "the channel is closing"));
  if (request.frame.empty())
    return request.done(fail(Errc::kInvalidArgument, "a frame without a request header"));
  if (waiting_.size() >= options_.waiting_max)
    return request.done(
        fail(Errc::kNoSpace, fmt::format("{} requests are waiting", waiting_.size())));
  arm_deadline(request.deadline);
  waiting_.push_back(std::move(request));
  wake_.cancel();
}

asio::awaitable<void> KafkaTcpChannel::run() {
  while (!closing_) {
    if (waiting_.empty()) {
      std::error_code ignored;
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    auto socket = co_await connect();
    if (closing_) break;
    if (!socket) {
      fail_all(waiting_, socket.error());
      continue;
    }
    co_await converse(std::make_shared<Session>(std::move(*socket), options_.answer_bytes_max));
  }
}

asio::awaitable<Result<tcp::socket>> KafkaTcpChannel::connect() {
  std::error_code error;
  tcp::resolver resolver(io_);
  const auto found = co_await resolver.async_resolve(
      host_, std::to_string(port_), asio::redirect_error(asio::use_awaitable, error));
  const auto socket = std::make_shared<tcp::socket>(io_);
  if (!error) {
    asio::steady_timer limit(io_, options_.connect_timeout);
    limit.async_wait([socket](std::error_code stopped) {  // may run after this coroutine
      std::error_code ignored;
      if (!stopped) socket->close(ignored);
    });
    co_await asio::async_connect(*socket, found, asio::redirect_error(asio::use_awaitable, error));
    if (limit.cancel() == 0 && !error) error = asio::error::timed_out;
  }
  if (error)
    co_return fail(Errc::kUnavailable, fmt::format("{}:{}: {}", host_, port_, error.message()));
  socket->non_blocking(true, error);
  socket->set_option(tcp::no_delay(true), error);
  co_return std::move(*socket);
}

/// Writes requests while the session lasts.
asio::awaitable<void> KafkaTcpChannel::converse(std::shared_ptr<Session> session) {
  session_ = session;
  set_connected(true);
  asio::co_spawn(io_, [this, session] { return read_loop(session); }, asio::detached);
  while (!session->over) {
    while (!waiting_.empty() && in_flight_.size() < options_.in_flight_max &&
           session->writer.queued_bytes() < kWriterBytes) {
      auto& request = waiting_.front();
      request.sent_at = std::chrono::steady_clock::now();
      session->writer.push(std::move(request.frame));
      in_flight_.push_back(std::move(request));
      waiting_.pop_front();
    }
    std::error_code ignored;
    if (session->writer.empty()) {
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    const auto status = session->writer.write_some(session->socket.native_handle());
    if (!status) {
      end(*session, status.error());
    } else if (*status == FrameWriter::Status::kBlocked) {
      co_await session->socket.async_wait(tcp::socket::wait_write,
                                          asio::redirect_error(asio::use_awaitable, ignored));
    } else if (*status == FrameWriter::Status::kYield) {
      co_await asio::post(io_, asio::use_awaitable);
    }
  }
  session_ = nullptr;
  set_connected(false);
  fail_all(in_flight_, session->why);
}

asio::awaitable<void> KafkaTcpChannel::read_loop(std::shared_ptr<Session> session) {
  std::vector<std::uint8_t> scratch(kReadBytes);
  while (!session->over) {
    std::error_code error;
    co_await session->socket.async_wait(tcp::socket::wait_read,
                                        asio::redirect_error(asio::use_awaitable, error));
    if (session->over) break;
    const auto read = error ? fail(Errc::kUnavailable, error.message()) : read_once(*session, scratch);
    if (!read) end(*session, read.error());
  }
}

Result<> KafkaTcpChannel::read_once(Session& session, std::vector<std::uint8_t>& scratch) {
  const auto direct = session.assembler.direct();
  const auto target = direct.empty() ? std::span(scratch) : direct;
  const auto count = ::recv(session.socket.native_handle(), target.data(), target.size(), MSG_DONTWAIT);
  if (count == 0) return fail(Errc::kUnavailable, "the peer closed the connection");
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {};
    return fail(Errc::kUnavailable, std::generic_category().message(errno));
  }
  session.last_received = std::chrono::steady_clock::now();
  std::deque<SharedBytes> answers;
  const auto bytes = static_cast<std::size_t>(count);
  Result<> fed;
  if (direct.empty()) fed = session.assembler.feed(ByteView(target.data(), bytes), answers);
  else session.assembler.advance(bytes, answers);
  for (const auto& answer : answers) RETURN_IF_ERROR(match(answer));
  if (!answers.empty()) wake_.cancel();
  return fed;
}

Result<> KafkaTcpChannel::match(const SharedBytes& answer) {
  const auto id = ByteReader(answer.view()).i32();
  if (in_flight_.empty() || in_flight_.front().correlation_id != id)
    return fail(Errc::kCorrupt, fmt::format("an answer with correlation id {}, which is not the next", id));
  auto done = std::move(in_flight_.front().done);
  in_flight_.pop_front();
  if (done) done(answer);
  return {};
}

void KafkaTcpChannel::end(Session& session, Error why) {
  if (session.over) return;
  session.over = true;
  session.why = std::move(why);
  std::error_code ignored;
  session.socket.close(ignored);
  wake_.cancel();
}

// ---- Deadlines

void KafkaTcpChannel::arm_deadline(SteadyTime no_later_than) {
  if (deadline_armed_ && deadline_.expiry() <= no_later_than) return;
  deadline_armed_ = true;
  deadline_.expires_at(no_later_than);
  deadline_.async_wait([this](std::error_code cancelled) {
    if (!cancelled) check_deadlines();
  });
}

void KafkaTcpChannel::check_deadlines() {
  deadline_armed_ = false;
  const auto now = std::chrono::steady_clock::now();
  auto next = SteadyTime::max();
  bool peer_is_dead = false;
  std::vector<Done> late;
  for (auto& request : in_flight_) {
    if (!request.done) continue;
    if (request.deadline > now) {
      next = std::min(next, request.deadline);
      continue;
    }
    late.push_back(std::exchange(request.done, nullptr));
    peer_is_dead = peer_is_dead || (session_ && session_->last_received < request.sent_at);
  }
  for (auto& request : waiting_) {
    if (request.deadline <= now) late.push_back(std::move(request.done));
    else next = std::min(next, request.deadline);
  }
  std::erase_if(waiting_, [now](const Request& request) { return request.deadline <= now; });
  if (peer_is_dead) end(*session_, {Errc::kUnavailable, "the peer does not answer"});
  if (next != SteadyTime::max()) arm_deadline(next);
  for (const auto& done : late) done(fail(Errc::kTimeout, "no answer in time"));
}

void KafkaTcpChannel::fail_all(std::deque<Request>& requests, const Error& error) {
  for (auto& request : std::exchange(requests, {}))
    if (request.done) request.done(tl::unexpected<Error>(error));
}

void KafkaTcpChannel::set_connected(bool connected) {
  connected_ = connected;
  if (options_.on_connection_change) options_.on_connection_change(connected);
}

KafkaTcpChannel::~KafkaTcpChannel() {
  CHECK(thread_.get_id() != std::this_thread::get_id(), "not inside a callback of the channel");
  asio::post(io_, [this] {
    closing_ = true;
    const Error closing{Errc::kUnavailable, "the channel is closing"};
    fail_all(waiting_, closing);
    fail_all(in_flight_, closing);
    if (session_) end(*session_, closing);
    work_.reset();
    io_.stop();  // a name lookup may still be under way
  });
  thread_.join();
  session_ = nullptr;
}

}  // namespace

Result<std::unique_ptr<RequestChannel>> connect_kafka_tcp(const std::string& host, std::uint16_t port,
                                                          KafkaTcpClientOptions options) {
  if (host.empty() || port == 0)
    return fail(Errc::kInvalidArgument, fmt::format("kafka address \"{}:{}\"", host, port));
  return std::unique_ptr<RequestChannel>(
      std::make_unique<KafkaTcpChannel>(host, port, std::move(options)));
}

}  // namespace tributary
