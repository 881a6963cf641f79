#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "common/base/check.h"
#include "common/transport/client.h"
#include "common/transport/nng_message.h"

namespace tributary {
namespace {

constexpr std::size_t kAnswerBytesMin = 4;  // correlation id

nng_duration milliseconds_until(MonoTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - system_clock().mono_now());
  // Not 0: to nng that means "try once", which its contexts do not handle (req.c, req0_ctx_send).
  return static_cast<nng_duration>(std::clamp<std::int64_t>(left.count(), 1, 0x7fffffff));
}

Error error_of(int nng_error) {
  switch (nng_error) {
    case NNG_ETIMEDOUT: return {Errc::kTimeout, "no answer in time"};
    case NNG_ECONNRESET: return {Errc::kUnavailable, "the connection was lost"};
    case NNG_ECLOSED:
    case NNG_ECANCELED: return {Errc::kUnavailable, "the channel is closing"};
    default: return {Errc::kUnavailable, nng_strerror(nng_error)};
  }
}

/// Counts a socket's pipes and tells of changes. Outlives the channel if nng does not finish closing.
class Connections {
 public:
  explicit Connections(std::function<void(bool)> on_change) : on_change_(std::move(on_change)) {}

  void watch(nng_socket socket) {
    const auto notify = [](nng_pipe pipe, nng_pipe_ev event, void* self) {
      static_cast<Connections*>(self)->changed(static_cast<std::uint32_t>(nng_pipe_id(pipe)), event);
    };
    for (const auto event : {NNG_PIPE_EV_ADD_PRE, NNG_PIPE_EV_ADD_POST, NNG_PIPE_EV_REM_POST})
      (void)nng_pipe_notify(socket, event, notify, this);
  }
  [[nodiscard]] int count() const { return count_; }
  /// No call of on_change runs, or begins, after this.
  void mute() {
    const std::lock_guard lock(telling_);
    on_change_ = nullptr;
  }

 private:
  /// nng may report the end of a pipe before, or without, its having been added; only ADD_PRE is first.
  void changed(std::uint32_t id, nng_pipe_ev event) {
    const bool added = event == NNG_PIPE_EV_ADD_POST;
    {
      const std::lock_guard lock(mutex_);
      if (event == NNG_PIPE_EV_ADD_PRE) {
        pipes_.emplace(id, false);
        return;
      }
      const auto found = pipes_.find(id);
      if (found == pipes_.end()) return;
      const bool counted = found->second;
      if (added) found->second = true;
      else pipes_.erase(found);
      if (!added && !counted) return;
      count_ += added ? 1 : -1;
    }
    const std::lock_guard lock(telling_);
    if (on_change_) on_change_(added);
  }

  std::mutex telling_;
  std::function<void(bool)> on_change_;  // under telling_
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, bool> pipes_;  // by id: whether it has been counted
  std::atomic<int> count_{0};
};

/// One REQ0 context per request in flight, reused. nng's send queue over contexts is a FIFO and there is
/// one dialer, hence one connection at a time, hence the order on the wire. Resending is off
/// (NNG_DURATION_INFINITE): a lost connection completes what was sent on it with NNG_ECONNRESET, and
/// leaves in the queue what was not.
///
/// Requests over in_flight_max wait here, since nng's server side drops answers beyond 64 queued ones.
/// `timer_` expires and rejects them; it sleeps only while some wait.
class NngChannel final : public RequestChannel {
 public:
  explicit NngChannel(NngClientOptions options)
      : options_(std::move(options)),
        connections_(std::make_shared<Connections>(options_.on_connection_change)) {}
  ~NngChannel() override;

  Result<> open(const std::string& url);
  void send(Payload frame, Duration timeout, Done done) override;
  bool connected() const override { return connections_->count() > 0; }

 private:
  struct Waiting {
    NngMessage message;  // null: `error` is to be reported
    MonoTime deadline;
    Done done;
    Error error{Errc::kTimeout, "no answer in time"};
  };
  struct Slot {
    NngChannel* channel = nullptr;
    nng_ctx context = NNG_CTX_INITIALIZER;
    nng_aio* aio = nullptr;
    bool sent = false;
    MonoTime deadline;
    Done done;
  };

  void start(Slot& slot, Waiting request);  // under mutex_
  void start_waiting();                     // under mutex_
  Slot* free_slot();                        // under mutex_; null if all are busy
  void schedule_timer(MonoTime no_later_than);  // under mutex_
  void advance(Slot& slot);
  void complete(Slot& slot, Result<SharedBytes> result);
  void timer_done();

  const NngClientOptions options_;
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
  nng_aio* timer_ = nullptr;
  const std::shared_ptr<Connections> connections_;

  std::mutex mutex_;
  bool closing_ = false;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_slots_;
  std::deque<Waiting> waiting_;
  std::vector<Waiting> rejected_;
  bool timer_armed_ = false;
  MonoTime timer_deadline_;
};

Result<> NngChannel::open(const std::string& url) {
  int error = nng_req0_open(&socket_);
  if (error != 0) return fail_nng(Errc::kIo, url, error);
  const auto on_timer = [](void* self) { static_cast<NngChannel*>(self)->timer_done(); };
  CHECK(nng_aio_alloc(&timer_, on_timer, this) == 0, "out of memory");
  connections_->watch(socket_);
  const auto ms = [](std::chrono::milliseconds d) { return static_cast<nng_duration>(d.count()); };
  error = nng_socket_set_ms(socket_, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
  if (error == 0) error = nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, options_.answer_bytes_max);
  if (error == 0) error = nng_socket_set_ms(socket_, NNG_OPT_RECONNMINT, ms(options_.reconnect_min));
  if (error == 0) error = nng_socket_set_ms(socket_, NNG_OPT_RECONNMAXT, ms(options_.reconnect_max));
  nng_dialer dialer = NNG_DIALER_INITIALIZER;
  if (error == 0) error = nng_dialer_create(&dialer, socket_, url.c_str());
  if (error == 0) {
    (void)nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    error = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
  }
  if (error != 0) return fail_nng(Errc::kInvalidArgument, fmt::format("nng address {}", url), error);
  return {};
}

void NngChannel::send(Payload frame, Duration timeout, Done done) {
  Waiting request{nullptr, system_clock().mono_now() + timeout, std::move(done)};
  if (auto message = message_of(frame))
    request.message = std::move(*message);
  else
    request.error = {Errc::kCorrupt, std::move(message).error().message};

  const std::lock_guard lock(mutex_);
  if (request.message && waiting_.size() >= options_.waiting_max) {
    request.error = {Errc::kNoSpace, fmt::format("{} requests are waiting", waiting_.size())};
    request.message = nullptr;
  }
  if (!request.message) {
    rejected_.push_back(std::move(request));
    return schedule_timer(system_clock().mono_now());
  }
  const auto deadline = request.deadline;
  waiting_.push_back(std::move(request));
  start_waiting();
  if (!waiting_.empty()) schedule_timer(deadline);
}

NngChannel::Slot* NngChannel::free_slot() {
  if (free_slots_.empty()) {
    if (slots_.size() >= options_.in_flight_max) return nullptr;
    auto slot = std::make_unique<Slot>();
    slot->channel = this;
    if (nng_ctx_open(&slot->context, socket_) != 0) return nullptr;
    const auto done = [](void* raw) {
      auto* own = static_cast<Slot*>(raw);
      own->channel->advance(*own);
    };
    CHECK(nng_aio_alloc(&slot->aio, done, slot.get()) == 0, "out of memory");
    free_slots_.push_back(slot.get());
    slots_.push_back(std::move(slot));
  }
  auto* slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void NngChannel::start_waiting() {
  while (!closing_ && !waiting_.empty()) {
    auto* slot = free_slot();
    if (slot == nullptr) return;
    start(*slot, std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void NngChannel::start(Slot& slot, Waiting request) {
  slot.sent = false;
  slot.deadline = request.deadline;
  slot.done = std::move(request.done);
  nng_aio_set_timeout(slot.aio, milliseconds_until(slot.deadline));
  nng_aio_set_msg(slot.aio, request.message.release());
  nng_ctx_send(slot.context, slot.aio);  // completes on another thread
}

/// nng's thread: the slot's send or receive has ended.
void NngChannel::advance(Slot& slot) {
  const int error = nng_aio_result(slot.aio);
  if (!slot.sent) {
    if (error != 0) {
      nng_msg_free(nng_aio_get_msg(slot.aio));
      nng_aio_set_msg(slot.aio, nullptr);
      return complete(slot, tl::unexpected<Error>(error_of(error)));
    }
    slot.sent = true;
    nng_aio_set_timeout(slot.aio, milliseconds_until(slot.deadline));
    const std::lock_guard lock(mutex_);  // the destructor stops the aio only after closing_
    if (!closing_) return nng_ctx_recv(slot.context, slot.aio);
  }
  if (!error && nng_aio_get_msg(slot.aio) != nullptr) {
    NngMessage message(nng_aio_get_msg(slot.aio));
    nng_aio_set_msg(slot.aio, nullptr);
    if (nng_msg_len(message.get()) < kAnswerBytesMin)
      return complete(slot, fail(Errc::kCorrupt, "an answer without a correlation id"));
    return complete(slot, body_of(std::move(message)));
  }
  complete(slot, tl::unexpected<Error>(error_of(error != 0 ? error : NNG_ECLOSED)));
}

void NngChannel::complete(Slot& slot, Result<SharedBytes> result) {
  auto done = std::exchange(slot.done, nullptr);
  {
    const std::lock_guard lock(mutex_);
    free_slots_.push_back(&slot);
    start_waiting();
  }
  done(std::move(result));
}

void NngChannel::schedule_timer(MonoTime no_later_than) {
  if (closing_) return;
  if (timer_armed_) {
    if (no_later_than < timer_deadline_) nng_aio_cancel(timer_);  // timer_done() arms it anew
    return;
  }
  timer_armed_ = true;
  timer_deadline_ = no_later_than;
  nng_sleep_aio(milliseconds_until(no_later_than), timer_);
}

void NngChannel::timer_done() {
  std::vector<Waiting> failed;
  {
    const std::lock_guard lock(mutex_);
    timer_armed_ = false;
    if (closing_) return;
    failed = std::exchange(rejected_, {});
    const auto now = system_clock().mono_now();
    const auto expired = [now](const Waiting& request) { return request.deadline <= now; };
    for (auto& request : waiting_)
      if (expired(request)) failed.push_back(std::move(request));
    std::erase_if(waiting_, expired);
    auto next = MonoTime::max();
    for (const auto& request : waiting_) next = std::min(next, request.deadline);
    if (next != MonoTime::max()) schedule_timer(next);
  }
  for (auto& request : failed) request.done(tl::unexpected<Error>(std::move(request.error)));
}

NngChannel::~NngChannel() {
  std::deque<Waiting> left;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    left = std::exchange(waiting_, {});
    for (auto& request : rejected_) left.push_back(std::move(request));
    rejected_.clear();
  }
  // No slot is added or started any more. Stopping one waits for its callback.
  for (const auto& slot : slots_) {
    nng_aio_stop(slot->aio);
    if (slot->done) slot->done(tl::unexpected<Error>(error_of(NNG_ECLOSED)));
    (void)nng_ctx_close(slot->context);
    nng_aio_free(slot->aio);
  }
  if (timer_ != nullptr) nng_aio_stop(timer_);
  nng_aio_free(timer_);
  connections_->mute();
  (void)close_socket(socket_, connections_);
  for (auto& request : left) request.done(tl::unexpected<Error>(error_of(NNG_ECLOSED)));
}

}  // namespace

Result<std::unique_ptr<RequestChannel>> connect_nng(const std::string& url, NngClientOptions options) {
  auto channel = std::make_unique<NngChannel>(std::move(options));
  RETURN_IF_ERROR(channel->open(url));
  return std::unique_ptr<RequestChannel>(std::move(channel));
}

}  // namespace tributary
