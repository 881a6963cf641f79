#include <nng/nng.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "common/base/check.h"
#include "common/transport/client.h"
#include "common/transport/frame_assembler.h"
#include "common/transport/nng_link.h"
#include "common/transport/nng_message.h"
#include "common/transport/nng_pipe_stats.h"

namespace tributary {
namespace {


/// From the loss of a connection until its pipe must have been reaped, so that nng dials again.
constexpr std::chrono::milliseconds kReapPatience{2'000};
constexpr std::chrono::milliseconds kReapPatienceStuck{200};
Duration reap_patience() { return nng_reaper_is_stuck() ? kReapPatienceStuck : kReapPatience; }

/// Connections that were given up while they stood are kept for so long, and no more of them than that.
constexpr std::chrono::seconds kSilentKept{60};
constexpr std::ptrdiff_t kSilentKeptMax = 2;

/// How long closing lets answers come in: nng hangs easily in closing a connection that receives.
constexpr std::chrono::milliseconds kRestMax{100};

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

/// One REQ0 context per request in flight, reused. nng's send queue over contexts is a FIFO and there is
/// one dialer, hence one connection at a time, hence the order on the wire. A lost connection completes
/// what was sent on it with NNG_ECONNRESET and leaves in nng's queue what was not.
///
/// Requests over in_flight_max wait here, since nng's server side drops answers beyond 64 queued ones.
/// `timer_` expires and rejects them; it sleeps only while there is something to watch.
///
/// A link whose connection was lost and which nng does not dial again (NngLink) is replaced, and so is one
/// on which a request timed out and nothing was received meanwhile. What was in its queue then fails as if
/// it had been sent.
class NngChannel final : public RequestChannel {
 public:
  NngChannel(std::string url, NngClientOptions options) : url_(std::move(url)), options_(std::move(options)) {}
  ~NngChannel() override;

  Result<> open();
  void send(Payload frame, Duration timeout, Done done) override;
  bool connected() const override { return connected_; }

 private:
  struct Waiting {
    NngMessage message;  // null: `error` is to be reported
    MonoTime deadline;
    Done done;
    Error error{Errc::kTimeout, "no answer in time"};
  };
  struct Slot {
    NngChannel* channel = nullptr;
    NngLink* link = nullptr;
    nng_ctx context = NNG_CTX_INITIALIZER;
    nng_aio* aio = nullptr;
    bool busy = false;
    bool sent = false;
    std::uint64_t epoch = 0;  // of the link's connection that it was sent on
    MonoTime since;           // when it was given to nng
    MonoTime deadline;
    Done done;
  };
  /// A link and the contexts on it.
  struct Lane {
    std::shared_ptr<NngLink> link;
    std::vector<std::unique_ptr<Slot>> slots;
    std::vector<Slot*> free_slots;
    MonoTime kept_until;  // once retired
    [[nodiscard]] bool busy() const {
      return std::ranges::any_of(slots, [](const auto& slot) { return slot->busy; });
    }
  };

  void start(Slot& slot, Waiting request);          // under mutex_
  void start_waiting();                             // under mutex_
  [[nodiscard]] std::deque<Waiting> take_waiting();
  Slot* free_slot();                                // under mutex_; null if all are busy
  void schedule_timer(MonoTime no_later_than);      // under mutex_
  void connection_lost(MonoTime now);               // under mutex_
  [[nodiscard]] bool shows_loss(const Slot& slot, int error);  // under mutex_
  void replace_dead_lane(MonoTime now);             // under mutex_
  [[nodiscard]] bool replace_silent_lane(MonoTime now);  // under mutex_
  [[nodiscard]] bool replace_lane(MonoTime kept_until);  // under mutex_
  [[nodiscard]] std::vector<Lane> take_idle_retired(MonoTime now);  // under mutex_
  [[nodiscard]] MonoTime next_retired(MonoTime now) const;  // under mutex_
  Result<Lane> open_lane();
  void advance(Slot& slot);
  void complete(Slot& slot, Result<SharedBytes> result);
  void fail_slot(Slot& slot, int error);
  void timer_done();
  void changed(std::uint64_t generation, bool connected);
  void tell(bool connected) const {
    if (options_.on_connection_change) options_.on_connection_change(connected);
  }
  static void destroy(Lane& lane);

  const std::string url_;
  const NngClientOptions options_;
  nng_aio* timer_ = nullptr;
  std::atomic<bool> connected_{false};

  std::mutex mutex_;
  bool ending_ = false;   // nothing is sent any more
  bool closing_ = false;  // and no answer is awaited
  std::condition_variable completed_;  // a request of lane_, while ending_
  Lane lane_;
  std::uint64_t generation_ = 1;  // of lane_
  std::vector<Lane> retired_;  // replaced; some of their slots are busy, or their connection stands
  std::deque<Waiting> waiting_;
  std::vector<Waiting> rejected_;
  std::optional<MonoTime> lost_at_;  // the connection, and no other has come yet
  bool timer_armed_ = false;
  MonoTime timer_deadline_;
};

Result<> NngChannel::open() {
  const auto on_timer = [](void* self) { static_cast<NngChannel*>(self)->timer_done(); };
  CHECK(nng_aio_alloc(&timer_, on_timer, this) == 0, "out of memory");
  auto lane = open_lane();
  if (!lane) return tl::unexpected<Error>(std::move(lane).error());
  const std::lock_guard lock(mutex_);
  lane_ = std::move(*lane);
  return {};
}

Result<NngChannel::Lane> NngChannel::open_lane() {
  Lane lane;
  const auto on_change = [this, generation = generation_](bool connected) { changed(generation, connected); };
  ASSIGN_OR_RETURN(lane.link, NngLink::open(url_, options_, on_change));
  return lane;
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
  if (lane_.free_slots.empty()) {
    if (lane_.slots.size() >= options_.in_flight_max) return nullptr;
    auto slot = std::make_unique<Slot>();
    slot->channel = this;
    slot->link = lane_.link.get();
    if (nng_ctx_open(&slot->context, lane_.link->socket()) != 0) return nullptr;
    const auto done = [](void* raw) {
      auto* own = static_cast<Slot*>(raw);
      own->channel->advance(*own);
    };
    CHECK(nng_aio_alloc(&slot->aio, done, slot.get()) == 0, "out of memory");
    lane_.free_slots.push_back(slot.get());
    lane_.slots.push_back(std::move(slot));
  }
  auto* slot = lane_.free_slots.back();
  lane_.free_slots.pop_back();
  return slot;
}

void NngChannel::start_waiting() {
  while (!ending_ && !waiting_.empty()) {
    auto* slot = free_slot();
    if (slot == nullptr) return;
    start(*slot, std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void NngChannel::start(Slot& slot, Waiting request) {
  slot.busy = true;
  slot.sent = false;
  slot.since = system_clock().mono_now();
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
      slot.epoch = slot.link->epoch();
      return fail_slot(slot, error);
    }
    nng_aio_set_timeout(slot.aio, milliseconds_until(slot.deadline));
    const std::lock_guard lock(mutex_);  // the destructor stops the aio only after closing_
    slot.sent = true;
    slot.epoch = slot.link->epoch();
    if (!closing_ && slot.link == lane_.link.get()) return nng_ctx_recv(slot.context, slot.aio);
  }
  if (!error && nng_aio_get_msg(slot.aio) != nullptr) {
    NngMessage message(nng_aio_get_msg(slot.aio));
    nng_aio_set_msg(slot.aio, nullptr);
    slot.link->heard();
    if (nng_msg_len(message.get()) < kAnswerBytesMin)
      return complete(slot, fail(Errc::kCorrupt, "an answer without a correlation id"));
    return complete(slot, body_of(std::move(message)));
  }
  fail_slot(slot, error != 0 ? error : NNG_ECONNRESET);
}

void NngChannel::fail_slot(Slot& slot, int error) {
  bool lost = false;
  {
    const std::lock_guard lock(mutex_);
    if (slot.link == lane_.link.get()) lost = shows_loss(slot, error);
    else if (error == NNG_ECANCELED) error = NNG_ECONNRESET;  // by replace_lane
  }
  if (lost) tell(false);
  complete(slot, tl::unexpected<Error>(error_of(error)));
}

void NngChannel::complete(Slot& slot, Result<SharedBytes> result) {
  auto done = std::exchange(slot.done, nullptr);
  {
    const std::lock_guard lock(mutex_);
    slot.busy = false;
    if (slot.link == lane_.link.get()) {
      lane_.free_slots.push_back(&slot);
      start_waiting();
      if (ending_) completed_.notify_all();
    }
  }
  done(std::move(result));
}

// ---- The connection

void NngChannel::changed(std::uint64_t generation, bool connected) {
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_) return schedule_timer(system_clock().mono_now());  // a retired one's
    if (closing_) return;
    connected_ = connected;
    if (connected) lost_at_.reset();
    else connection_lost(system_clock().mono_now());
  }
  tell(connected);
}

void NngChannel::connection_lost(MonoTime now) {
  if (lost_at_) return;
  lost_at_ = now;
  schedule_timer(now + reap_patience());
}

/// Whether the failure of this request, of lane_, shows that the connection is lost, which is then dealt
/// with. False if it was known.
bool NngChannel::shows_loss(const Slot& slot, int error) {
  if (closing_) return false;
  const auto now = system_clock().mono_now();
  const bool timed_out = error == NNG_ETIMEDOUT;
  if (timed_out && now - slot.since >= options_.silence_min && lane_.link->silent_since(slot.since))
    return replace_silent_lane(now);
  // With a stuck reaper nobody else tells that there is no connection.
  const bool reset = error == NNG_ECONNRESET || (timed_out && !slot.sent && nng_reaper_is_stuck());
  if (!reset || !lane_.link->mark_lost(slot.epoch)) return false;
  connected_ = false;
  connection_lost(now);
  return true;
}

void NngChannel::replace_dead_lane(MonoTime now) {
  if (!lost_at_ || now < *lost_at_ + reap_patience()) return;
  lost_at_.reset();
  if (!lane_.link->dead()) return;
  if (!replace_lane(now)) connection_lost(now);
}

bool NngChannel::replace_silent_lane(MonoTime now) {
  const auto silent = lane_.link;
  if (!replace_lane(now + kSilentKept)) return false;
  silent->retire();
  connected_ = false;
  const auto kept = [now](const Lane& lane) { return lane.kept_until > now; };
  if (std::ranges::count_if(retired_, kept) > kSilentKeptMax)
    std::ranges::find_if(retired_, kept)->kept_until = now;
  schedule_timer(now);
  return true;
}

/// False if no other could be opened: out of descriptors, most likely.
bool NngChannel::replace_lane(MonoTime kept_until) {
  ++generation_;
  auto lane = open_lane();
  if (!lane) {
    --generation_;
    return false;
  }
  std::swap(lane_, *lane);
  lane->kept_until = kept_until;
  for (const auto& slot : lane->slots)
    if (slot->busy) nng_aio_cancel(slot->aio);
  retired_.push_back(std::move(*lane));
  start_waiting();
  return true;
}

std::vector<NngChannel::Lane> NngChannel::take_idle_retired(MonoTime now) {
  std::vector<Lane> idle;
  for (auto lane = retired_.begin(); lane != retired_.end();) {
    const bool kept = lane->busy() || (now < lane->kept_until && !lane->link->gone());
    if (!kept) idle.push_back(std::move(*lane));
    lane = kept ? lane + 1 : retired_.erase(lane);
  }
  return idle;
}

/// When to look at retired_ again.
MonoTime NngChannel::next_retired(MonoTime now) const {
  auto next = MonoTime::max();
  for (const auto& lane : retired_)
    next = std::min<MonoTime>(next, lane.busy() ? now + kReapPatienceStuck : lane.kept_until);
  return next;
}

/// Waits for the slots' callbacks. Not under mutex_.
void NngChannel::destroy(Lane& lane) {
  for (const auto& slot : lane.slots) {
    nng_aio_stop(slot->aio);
    if (slot->done) slot->done(tl::unexpected<Error>(error_of(NNG_ECLOSED)));
    (void)nng_ctx_close(slot->context);
    nng_aio_free(slot->aio);
  }
  if (lane.link) lane.link->close();
}

// ---- Time

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
  std::vector<Lane> idle;
  {
    const std::lock_guard lock(mutex_);
    timer_armed_ = false;
    if (closing_) return;
    const auto now = system_clock().mono_now();
    failed = std::exchange(rejected_, {});
    const auto expired = [now](const Waiting& request) { return request.deadline <= now; };
    for (auto& request : waiting_)
      if (expired(request)) failed.push_back(std::move(request));
    std::erase_if(waiting_, expired);
    replace_dead_lane(now);
    idle = take_idle_retired(now);
    auto next = next_retired(now);
    for (const auto& request : waiting_) next = std::min(next, request.deadline);
    if (lost_at_) next = std::min<MonoTime>(next, *lost_at_ + reap_patience());
    if (next != MonoTime::max()) schedule_timer(next);
  }
  for (auto& lane : idle) destroy(lane);
  for (auto& request : failed) request.done(tl::unexpected<Error>(std::move(request.error)));
}

std::deque<NngChannel::Waiting> NngChannel::take_waiting() {
  const std::lock_guard lock(mutex_);
  auto taken = std::exchange(waiting_, {});
  for (auto& request : std::exchange(rejected_, {})) taken.push_back(std::move(request));
  return taken;
}

NngChannel::~NngChannel() {
  {
    std::unique_lock lock(mutex_);
    ending_ = true;
    completed_.wait_for(lock, kRestMax, [this] { return !lane_.busy() || lane_.link->gone(); });
    closing_ = true;
  }
  // No slot, lane or timer is started any more.
  if (timer_ != nullptr) nng_aio_stop(timer_);
  nng_aio_free(timer_);
  for (auto& lane : retired_) destroy(lane);
  destroy(lane_);
  for (auto left = take_waiting(); !left.empty(); left = take_waiting())  // callbacks may send again
    for (auto& request : left) request.done(tl::unexpected<Error>(error_of(NNG_ECLOSED)));
}

}  // namespace

Result<std::unique_ptr<RequestChannel>> connect_nng(const std::string& url, NngClientOptions options) {
  auto channel = std::make_unique<NngChannel>(url, std::move(options));
  RETURN_IF_ERROR(channel->open());
  return std::unique_ptr<RequestChannel>(std::move(channel));
}

}  // namespace tributary
