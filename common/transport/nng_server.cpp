#include "common/transport/nng_server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <future>

#include "common/base/check.h"
#include "common/transport/frame_assembler.h"
#include "common/transport/nng_message.h"
#include "common/transport/nng_pipe_stats.h"
#include "common/transport/server.h"

namespace tributary {
namespace {

constexpr std::chrono::milliseconds kRest{20};
constexpr std::chrono::seconds kPipeReapPatience{2};  // see nng_reaper_is_stuck
constexpr std::size_t kLostPipesKept = 32;

std::string text_of(const nng_sockaddr& address) {
  if (address.s_family != NNG_AF_INET) return "nng peer";
  const auto* octets = reinterpret_cast<const std::uint8_t*>(&address.s_in.sa_addr);
  return fmt::format("{}.{}.{}.{}:{}", octets[0], octets[1], octets[2], octets[3],
                     __builtin_bswap16(address.s_in.sa_port));
}

}  // namespace

/// Threads: nng's call receive_done, send_done and pipe_changed; shards call the completions. What they
/// share is under `mutex`, which is never held while waiting for nng.
struct NngServer::Impl : std::enable_shared_from_this<Impl> {
  struct Pipe {
    std::shared_ptr<const std::string> peer;
    std::size_t shard = 0;
    std::size_t in_flight = 0;
    std::uint64_t answered_bytes = 0;  // handed to nng
    bool choked = false;               // its peer does not read
    std::function<void()> watch;
  };
  struct Shard {
    enum Claim : int { kUnclaimed, kRunning, kStopped };
    asio::io_context* context = nullptr;
    std::atomic<int> claim{kUnclaimed};
  };
  class Request;
  struct SendSlot {
    Impl* impl = nullptr;
    nng_aio* aio = nullptr;
  };

  // Constant after start().
  NngServerOptions options;
  RequestHandler* handler = nullptr;
  std::vector<std::unique_ptr<Shard>> shards;
  std::string url;
  std::uint16_t port = 0;
  nng_socket socket = NNG_SOCKET_INITIALIZER;
  nng_aio* receive_aio = nullptr;

  NngServerStats stats;
  std::atomic<bool> stopping{false};  // set under the mutex

  std::mutex mutex;
  std::unordered_map<std::uint32_t, Pipe> pipes;
  std::size_t next_shard = 0;
  std::size_t in_flight = 0;
  std::size_t request_bytes_in_flight = 0;
  std::uint64_t answer_bytes_unchecked = 0;
  std::deque<std::pair<std::chrono::steady_clock::time_point, std::uint32_t>> lost_pipes;
  std::chrono::steady_clock::time_point choked_check;  // when choked pipes were last looked at
  bool receiving = false;
  std::vector<std::unique_ptr<SendSlot>> send_slots;
  std::vector<SendSlot*> free_send_slots;

  Result<> open();
  void receive_done();
  void take(NngMessage message);
  void send_done(SendSlot* slot);
  void pipe_changed(nng_pipe pipe, nng_pipe_ev event);
  void finish(std::uint32_t pipe_id, std::size_t request_bytes, NngMessage answer);
  void watch(std::uint32_t pipe_id, std::size_t shard, std::function<void()> ended);
  void resume_receiving();                            // under mutex
  void send(NngMessage answer);                       // under mutex
  [[nodiscard]] bool admit(Pipe& pipe, std::size_t bytes);  // under mutex
  void check_unread();                                // under mutex
  void check_reaper();                                // under mutex
  void event(const std::string& what) const {
    if (options.on_event) options.on_event(what);
  }
  void stop();
};

/// One request's way back: the backtrace that raw REP wants in front of the answer. The pipe id is its
/// first word (xrep.c).
class NngServer::Impl::Request final : public Responder::Target {
 public:
  Request(std::shared_ptr<Impl> impl, std::uint32_t pipe_id, std::size_t shard, ByteView header,
          std::size_t request_bytes)
      : impl_(std::move(impl)), pipe_id_(pipe_id), shard_(shard), header_(to_bytes(header)),
        request_bytes_(request_bytes) {}

  void respond(std::uint64_t, Payload answer) override {
    auto message = message_of(answer);
    if (!message) {
      impl_->event(fmt::format("nng request dropped: {}", message.error().message));
      return finish(nullptr);
    }
    CHECK(nng_msg_header_append(message->get(), header_.data(), header_.size()) == 0);
    finish(std::move(*message));
  }
  void no_answer(std::uint64_t) override { finish(nullptr); }
  void close(std::uint64_t) override { finish(nullptr); }
  void watch_connection(std::function<void()> ended) override { impl_->watch(pipe_id_, shard_, std::move(ended)); }

 private:
  void finish(NngMessage answer) { impl_->finish(pipe_id_, request_bytes_, std::move(answer)); }

  const std::shared_ptr<Impl> impl_;
  const std::uint32_t pipe_id_;
  const std::size_t shard_;
  const Bytes header_;
  const std::size_t request_bytes_;
};

Result<> NngServer::Impl::open() {
  const auto where = fmt::format("nng listener {}", options.url);
  if (const int error = nng_rep0_open_raw(&socket); error != 0)
    return fail_nng(Errc::kIo, where, error);
  CHECK(nng_aio_alloc(&receive_aio, [](void* self) { static_cast<Impl*>(self)->receive_done(); }, this) == 0,
        "out of memory");
  const auto notify = [](nng_pipe pipe, nng_pipe_ev event_kind, void* self) {
    static_cast<Impl*>(self)->pipe_changed(pipe, event_kind);
  };
  (void)nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, notify, this);
  (void)nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, notify, this);
  int error = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, options.frame_bytes_max);
  nng_listener listener = NNG_LISTENER_INITIALIZER;
  if (error == 0) error = nng_listener_create(&listener, socket, options.url.c_str());
  if (error != 0) return fail_nng(Errc::kInvalidArgument, where, error);
  (void)nng_listener_set_bool(listener, NNG_OPT_TCP_KEEPALIVE, true);
  error = nng_listener_start(listener, 0);
  if (error == NNG_EADDRINUSE)
    return fail(Errc::kUnavailable, fmt::format("{}: the port is in use", where));
  if (error == NNG_EADDRINVAL) return fail_nng(Errc::kInvalidArgument, where, error);
  if (error != 0) return fail_nng(Errc::kIo, where, error);

  url = options.url;
  int bound = 0;
  if (nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &bound) == 0) {
    port = static_cast<std::uint16_t>(bound);
    url = fmt::format("{}:{}", url.substr(0, url.rfind(':')), bound);
  }
  return {};
}

// ---- Receiving: one aio in a chain, so that the order of a pipe's requests is kept

void NngServer::Impl::receive_done() {
  const int error = nng_aio_result(receive_aio);
  if (error == NNG_ECLOSED || error == NNG_ECANCELED) return;
  if (error == 0) {
    NngMessage message(nng_aio_get_msg(receive_aio));
    nng_aio_set_msg(receive_aio, nullptr);
    take(std::move(message));
  }
  const std::lock_guard lock(mutex);
  receiving = false;
  resume_receiving();
}

void NngServer::Impl::resume_receiving() {
  if (receiving || stopping || in_flight >= options.requests_in_flight_max ||
      request_bytes_in_flight >= options.request_bytes_in_flight_max)
    return;
  receiving = true;
  nng_recv_aio(socket, receive_aio);
}

void NngServer::Impl::take(NngMessage message) {
  const auto pipe_id = static_cast<std::uint32_t>(nng_pipe_id(nng_msg_get_pipe(message.get())));
  const auto bytes = nng_msg_len(message.get());
  stats.bytes_in += bytes;
  std::shared_ptr<const std::string> peer;
  std::size_t shard = 0;
  {
    const std::lock_guard lock(mutex);
    const auto found = pipes.find(pipe_id);
    if (stopping || found == pipes.end()) return;
    auto& pipe = found->second;
    if (!admit(pipe, bytes)) return;
    ++pipe.in_flight;
    ++in_flight;
    request_bytes_in_flight += bytes;
    peer = pipe.peer;
    shard = pipe.shard;
  }
  ++stats.requests;
  const ByteView header(static_cast<const std::uint8_t*>(nng_msg_header(message.get())),
                        nng_msg_header_len(message.get()));
  Responder responder(std::make_shared<Request>(shared_from_this(), pipe_id, shard, header, bytes), 0);
  IncomingRequest request{body_of(std::move(message)), shard, pipe_id, std::move(peer), Listener::kNng};
  asio::post(*shards[shard]->context, [self = shared_from_this(), moved = std::move(request),
                                       answer = std::move(responder)]() mutable {
    if (!self->stopping) self->handler->handle(std::move(moved), std::move(answer));
  });
}

bool NngServer::Impl::admit(Pipe& pipe, std::size_t bytes) {
  if (bytes < kRequestBytesMin) {
    ++stats.malformed;
    event(fmt::format("nng message of {} bytes from {} dropped: no request", bytes, *pipe.peer));
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (pipe.choked && now - choked_check > std::chrono::milliseconds(100)) {
    choked_check = now;
    check_unread();
  }
  if (!pipe.choked && pipe.in_flight < options.requests_in_flight_per_pipe_max) return true;
  if (stats.requests_dropped++ % 1000 == 0)
    event(fmt::format("nng request from {} dropped: {} are unanswered{}", *pipe.peer, pipe.in_flight,
                      pipe.choked ? ", and it does not read its answers" : ""));
  return false;
}

// ---- Answering

void NngServer::Impl::finish(std::uint32_t pipe_id, std::size_t request_bytes, NngMessage answer) {
  const std::lock_guard lock(mutex);
  --in_flight;
  request_bytes_in_flight -= request_bytes;
  if (stopping) return;
  const auto found = pipes.find(pipe_id);
  if (found != pipes.end()) {
    --found->second.in_flight;
    if (answer && !found->second.choked) {
      const auto bytes = nng_msg_len(answer.get());
      found->second.answered_bytes += bytes;
      answer_bytes_unchecked += bytes;
      stats.bytes_out += bytes;
      send(std::move(answer));
    }
  }
  if (answer_bytes_unchecked >= options.answer_bytes_queued_per_pipe_max) check_unread();
  resume_receiving();
}

void NngServer::Impl::watch(std::uint32_t pipe_id, std::size_t shard, std::function<void()> ended) {
  const std::lock_guard lock(mutex);
  const auto found = pipes.find(pipe_id);
  if (found != pipes.end()) found->second.watch = std::move(ended);
  else if (!stopping) asio::post(*shards[shard]->context, std::move(ended));
}

void NngServer::Impl::send(NngMessage answer) {
  if (free_send_slots.empty()) {
    auto slot = std::make_unique<SendSlot>();
    slot->impl = this;
    const auto done = [](void* raw) {
      auto* own = static_cast<SendSlot*>(raw);
      own->impl->send_done(own);
    };
    CHECK(nng_aio_alloc(&slot->aio, done, slot.get()) == 0, "out of memory");
    free_send_slots.push_back(slot.get());
    send_slots.push_back(std::move(slot));
  }
  auto* slot = free_send_slots.back();
  free_send_slots.pop_back();
  nng_aio_set_msg(slot->aio, answer.release());
  nng_send_aio(socket, slot->aio);
}

void NngServer::Impl::send_done(SendSlot* slot) {
  if (nng_aio_result(slot->aio) != 0) nng_msg_free(nng_aio_get_msg(slot->aio));
  nng_aio_set_msg(slot->aio, nullptr);
  const std::lock_guard lock(mutex);
  free_send_slots.push_back(slot);
}

// ---- Pipes

void NngServer::Impl::pipe_changed(nng_pipe pipe, nng_pipe_ev event_kind) {
  const auto id = static_cast<std::uint32_t>(nng_pipe_id(pipe));
  if (event_kind == NNG_PIPE_EV_REM_POST) {
    const std::lock_guard lock(mutex);
    if (auto ended = pipes.extract(id)) {
      --stats.pipes_open;
      auto& lost = ended.mapped();
      if (lost.watch && !stopping) asio::post(*shards[lost.shard]->context, std::move(lost.watch));
    }
    lost_pipes.emplace_back(std::chrono::steady_clock::now(), id);
    if (lost_pipes.size() > kLostPipesKept) lost_pipes.pop_front();
    return;
  }
  nng_sockaddr address{};
  (void)nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address);
  const std::lock_guard lock(mutex);
  check_reaper();
  if (stopping || (pipes.size() >= options.pipes_max && !stats.reaper_stuck)) {
    ++stats.pipes_refused;
    (void)nng_pipe_close(pipe);
    return;
  }
  pipes.emplace(id, Pipe{std::make_shared<const std::string>(text_of(address)),
                         next_shard++ % shards.size(), 0, 0, false, nullptr});
  ++stats.pipes_open;
  ++stats.pipes_accepted;
}

/// nng does not tell when an answer has left; its statistics tell how many bytes have.
void NngServer::Impl::check_unread() {
  answer_bytes_unchecked = 0;
  for (const auto& counted : nng_pipe_stats()) {
    const auto found = pipes.find(counted.id);
    if (found == pipes.end()) continue;
    auto& pipe = found->second;
    const auto unread = pipe.answered_bytes - std::min(counted.sent_bytes, pipe.answered_bytes);
    pipe.choked = unread > options.answer_bytes_queued_per_pipe_max;
  }
}

void NngServer::Impl::check_reaper() {
  std::vector<std::uint32_t> ids;
  const auto limit = std::chrono::steady_clock::now() - kPipeReapPatience;
  for (; !lost_pipes.empty() && lost_pipes.front().first < limit; lost_pipes.pop_front())
    ids.push_back(lost_pipes.front().second);
  if (stats.reaper_stuck || !nng_reaper_is_stuck(ids)) return;
  stats.reaper_stuck = true;
  event("nng does not give back connections that end any more (a fault of nng 1.5): restart at leisure");
}

// ---- Lifecycle

void NngServer::Impl::stop() {
  {
    const std::lock_guard lock(mutex);
    if (stopping.exchange(true)) return;
  }
  // Without receives nng's queues fill and its pipes come to rest; see close_socket.
  if (receive_aio != nullptr) nng_aio_stop(receive_aio);
  if (stats.pipes_open > 0) std::this_thread::sleep_for(kRest);
  if (!close_socket(socket, shared_from_this()))
    event(fmt::format("nng listener {}: nng does not finish closing; given up", url));
  for (const auto& slot : send_slots) {
    nng_aio_stop(slot->aio);
    nng_aio_free(slot->aio);
  }
  nng_aio_free(receive_aio);
  // Nothing is posted any more. Whatever handle() still runs is over when a shard has run this:
  std::vector<std::future<void>> waits;
  for (const auto& shard : shards) {
    int expected = Shard::kUnclaimed;
    if (shard->claim.compare_exchange_strong(expected, Shard::kStopped) || shard->context->stopped())
      continue;  // no thread runs it
    auto passed = std::make_shared<std::promise<void>>();
    waits.push_back(passed->get_future());
    asio::post(*shard->context, [passed] { passed->set_value(); });
  }
  for (auto& wait : waits) wait.wait();
}

Result<std::unique_ptr<NngServer>> NngServer::start(NngServerOptions options,
                                                    std::vector<asio::io_context*> shards,
                                                    RequestHandler& handler) {
  CHECK(!shards.empty(), "a server needs a shard");
  auto impl = std::make_shared<Impl>();
  impl->options = std::move(options);
  impl->handler = &handler;
  for (auto* context : shards) {
    auto shard = std::make_unique<Impl::Shard>();
    shard->context = context;
    impl->shards.push_back(std::move(shard));
  }
  std::unique_ptr<NngServer> server(new NngServer(impl));  // closes the socket if open() fails
  RETURN_IF_ERROR(impl->open());
  for (const auto& shard : impl->shards)
    asio::post(*shard->context, [impl, own = shard.get()] {
      int expected = Impl::Shard::kUnclaimed;
      own->claim.compare_exchange_strong(expected, Impl::Shard::kRunning);
    });
  const std::lock_guard lock(impl->mutex);
  impl->resume_receiving();
  return server;
}

NngServer::NngServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
NngServer::~NngServer() { stop(); }
void NngServer::stop() { impl_->stop(); }
const std::string& NngServer::url() const { return impl_->url; }
std::uint16_t NngServer::port() const { return impl_->port; }
const NngServerStats& NngServer::stats() const { return impl_->stats; }

}  // namespace tributary
