#include "common/transport/kafka_connection.h"

#include <sys/socket.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>

namespace tributary {
namespace {


/// Frames up to this need no budget: Kafka's producers send 1 MiB of batches at most, unless told otherwise,
/// and are not to wait for others' large ones.
constexpr std::size_t kUnbudgetedBytes = (1u << 20) + (64u << 10);
constexpr std::chrono::milliseconds kBudgetRetry{50};

std::string name_of_peer(const asio::ip::tcp::socket& socket) {
  std::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown";
  const auto address = endpoint.address().to_string(error);
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

}  // namespace

KafkaConnection::KafkaConnection(std::shared_ptr<KafkaShard> shard, asio::ip::tcp::socket socket,
                                 std::uint64_t id)
    : shard_(std::move(shard)),
      id_(id),
      peer_(std::make_shared<const std::string>(name_of_peer(socket))),
      assembler_(kRequestBytesMin, shard_->options->frame_bytes_max),
      budget_(shard_->budget) {
  std::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  auto& context = *shard_->context;
  io_ = std::make_unique<Io>(
      Io{std::move(socket), asio::steady_timer(context), asio::steady_timer(context)});
  io_->writer_wake.expires_at(asio::steady_timer::time_point::max());
  touch();
}

void KafkaConnection::start(std::function<void()> ended) {
  ended_ = std::move(ended);
  coroutines_ = 2;
  auto& context = *shard_->context;
  asio::co_spawn(context, [self = shared_from_this()] { return self->read_loop(); }, asio::detached);
  asio::co_spawn(context, [self = shared_from_this()] { return self->write_loop(); }, asio::detached);
}

void KafkaConnection::shut() {
  if (shut_) return;
  shut_ = true;
  pending_.clear();
  slots_.clear();
  working_ = 0;
  writer_ = FrameWriter();
  tell_watch();
  if (!io_) return;
  std::error_code ignored;
  io_->socket.close(ignored);
  io_->reader_wake.cancel();
  io_->writer_wake.cancel();
}

void KafkaConnection::stop() {
  stopped_ = true;
  shut();
}

void KafkaConnection::shut_if_idle(SteadyTime now) {
  if (shut_) return;
  const auto still_for = now - last_progress_;
  const bool working = working_ > 0 && writer_.empty();  // a long poll, or a slow disk
  const bool idle = still_for >= shard_->options->idle_timeout && !working;
  const bool gone = still_for >= shard_->options->half_closed_timeout && peer_finished_;
  const auto frame_timeout = shard_->options->frame_timeout;
  const bool stuck = (assembler_.mid_frame() && receiving_since_ && now - *receiving_since_ >= frame_timeout) ||
                     (budget_.held() && still_for >= frame_timeout && !working);
  if (!idle && !gone && !stuck) return;
  if (stuck) report({Errc::kTimeout, "it stopped within a frame"});
  ++shard_->stats->connections_idle_closed;
  shut();
}

// ---- Reading

asio::awaitable<void> KafkaConnection::read_loop() {
  while (!shut_) {
    hand_over();
    if (shut_) break;
    std::error_code error;
    if (!pending_.empty() || over_limits() || !hold_budget()) {
      const bool held_back = pending_.empty() && !over_limits();
      io_->reader_wake.expires_at(held_back ? std::chrono::steady_clock::now() + kBudgetRetry : SteadyTime::max());
      co_await io_->reader_wake.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (peer_finished_) break;
    receiving_since_ = std::chrono::steady_clock::now();
    co_await io_->socket.async_wait(asio::ip::tcp::socket::wait_read,
                                    asio::redirect_error(asio::use_awaitable, error));
    receiving_since_.reset();
    if (shut_) break;
    if (error || !read_once()) shut();
  }
  if (!shut_) io_->writer_wake.cancel();  // it ends once the last answer has left
  coroutine_ended();
}

/// Takes what one read gives. False if the connection is over at once.
bool KafkaConnection::read_once() {
  const auto direct = assembler_.direct();
  const auto target = direct.empty() ? std::span(shard_->scratch) : direct;
  const auto count = ::recv(io_->socket.native_handle(), target.data(), target.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (count == 0) {
    touch();
    peer_finished_ = true;
    tell_watch();
    return !assembler_.mid_frame();
  }
  touch();
  const auto bytes = static_cast<std::size_t>(count);
  shard_->stats->bytes_in += bytes;
  if (!direct.empty()) {
    assembler_.advance(bytes, pending_);
    if (!assembler_.mid_frame()) budget_.give_back();
    return true;
  }
  const auto fed = assembler_.feed(ByteView(target.data(), bytes), pending_);
  if (!fed) {
    ++shard_->stats->malformed;
    report(fed.error());
  }
  return fed.has_value();
}

bool KafkaConnection::over_limits() const {
  const auto& options = *shard_->options;
  return slots_.size() >= options.requests_in_flight_max ||
         request_bytes_in_flight_ >= options.request_bytes_in_flight_max ||
         answer_bytes_ + writer_.queued_bytes() >= options.answer_bytes_queued_max;
}

/// Whether more of the frame that is being assembled may be read.
bool KafkaConnection::hold_budget() {
  const auto bytes = assembler_.frame_bytes();
  return bytes <= kUnbudgetedBytes || budget_.hold(bytes);
}

void KafkaConnection::hand_over() {
  while (!shut_ && !pending_.empty() && !over_limits()) {
    auto frame = std::move(pending_.front());
    pending_.pop_front();
    const auto ticket = first_ticket_ + slots_.size();
    slots_.push_back({SlotState::kWorking, frame.size(), {}});
    ++working_;
    request_bytes_in_flight_ += frame.size();
    ++shard_->stats->requests;
    // May complete the responder, and so change slots_, before it returns.
    shard_->handler->handle({std::move(frame), shard_->index, id_, peer_, Listener::kKafkaTcp},
                            Responder(shared_from_this(), ticket));
  }
}

// ---- Completions

KafkaConnection::Slot* KafkaConnection::slot_of(std::uint64_t ticket) {
  if (shut_ || ticket < first_ticket_ || ticket - first_ticket_ >= slots_.size()) return nullptr;
  auto& slot = slots_[ticket - first_ticket_];
  --working_;
  touch();  // an answer that took long is not idleness: it is about to be written
  request_bytes_in_flight_ -= slot.request_bytes;
  io_->writer_wake.cancel();
  return &slot;
}

void KafkaConnection::respond(std::uint64_t ticket, Payload answer) {
  auto* slot = slot_of(ticket);
  if (slot == nullptr) return;
  slot->state = SlotState::kAnswered;
  answer_bytes_ += answer.size_bytes();
  slot->answer = std::move(answer);
}

void KafkaConnection::no_answer(std::uint64_t ticket) {
  if (auto* slot = slot_of(ticket)) slot->state = SlotState::kUnanswered;
}

void KafkaConnection::close(std::uint64_t) { shut(); }

void KafkaConnection::watch_connection(std::function<void()> ended) {
  watch_ = std::move(ended);
  if (shut_ || peer_finished_) tell_watch();
}

/// Posted: it may be about what this connection is at.
void KafkaConnection::tell_watch() {
  auto watch = std::exchange(watch_, nullptr);
  if (watch && !stopped_) asio::post(*shard_->context, std::move(watch));
}

// ---- Writing

void KafkaConnection::queue_answers() {
  while (!slots_.empty() && slots_.front().state != SlotState::kWorking) {
    auto& slot = slots_.front();
    if (slot.state == SlotState::kAnswered) {
      answer_bytes_ -= slot.answer.size_bytes();
      writer_.push(std::move(slot.answer));
    }
    slots_.pop_front();
    ++first_ticket_;
  }
}

asio::awaitable<void> KafkaConnection::write_loop() {
  while (!shut_) {
    queue_answers();
    io_->reader_wake.cancel();  // limits may have been left
    std::error_code error;
    if (writer_.empty()) {
      if (peer_finished_ && slots_.empty() && pending_.empty()) break;
      co_await io_->writer_wake.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto before = writer_.queued_bytes();
    const auto status = writer_.write_some(io_->socket.native_handle());
    if (!status) {
      if (status.error().code == Errc::kCorrupt) report(status.error());
      break;
    }
    if (const auto sent = before - writer_.queued_bytes(); sent > 0) {
      shard_->stats->bytes_out += sent;
      touch();
    }
    if (*status == FrameWriter::Status::kBlocked)
      co_await io_->socket.async_wait(asio::ip::tcp::socket::wait_write,
                                      asio::redirect_error(asio::use_awaitable, error));
    else if (*status == FrameWriter::Status::kYield)
      co_await asio::post(*shard_->context, asio::use_awaitable);
  }
  shut();
  coroutine_ended();
}

void KafkaConnection::coroutine_ended() {
  if (--coroutines_ > 0) return;
  shut();
  io_.reset();
  if (ended_) std::exchange(ended_, nullptr)();
}

void KafkaConnection::report(const Error& error) {
  if (shard_->options->on_event)
    shard_->options->on_event(
        fmt::format("kafka connection from {} closed: {}", *peer_, error.message));
}

}  // namespace tributary
