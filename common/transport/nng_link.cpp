#include "common/transport/nng_link.h"

#include <nng/protocol/reqrep0/req.h>

#include "common/transport/nng_message.h"
#include "common/transport/nng_pipe_stats.h"

namespace tributary {
namespace {

constexpr std::size_t kLostMessagesKept = 8;

}  // namespace

Result<std::shared_ptr<NngLink>> NngLink::open(const std::string& url, const NngClientOptions& options,
                                               OnChange on_change) {
  std::shared_ptr<NngLink> link(new NngLink(std::move(on_change)));
  auto started = link->start(url, options);
  if (started) return link;
  link->close();
  return tl::unexpected<Error>(std::move(started).error());
}

Result<> NngLink::start(const std::string& url, const NngClientOptions& options) {
  int error = nng_req0_open(&socket_);
  if (error != 0) return fail_nng(Errc::kIo, url, error);
  const auto notify = [](nng_pipe pipe, nng_pipe_ev event, void* self) {
    static_cast<NngLink*>(self)->pipe_changed(pipe, event);
  };
  for (const auto event : {NNG_PIPE_EV_ADD_PRE, NNG_PIPE_EV_ADD_POST, NNG_PIPE_EV_REM_POST})
    (void)nng_pipe_notify(socket_, event, notify, this);
  const auto ms = [](std::chrono::milliseconds d) { return static_cast<nng_duration>(d.count()); };
  // No resending: a lost connection completes what was sent on it with NNG_ECONNRESET.
  error = nng_socket_set_ms(socket_, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
  if (error == 0) error = nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, options.answer_bytes_max);
  if (error == 0) error = nng_socket_set_ms(socket_, NNG_OPT_RECONNMINT, ms(options.reconnect_min));
  if (error == 0) error = nng_socket_set_ms(socket_, NNG_OPT_RECONNMAXT, ms(options.reconnect_max));
  if (error == 0) error = nng_dialer_create(&dialer_, socket_, url.c_str());
  if (error == 0) {
    (void)nng_dialer_set_bool(dialer_, NNG_OPT_TCP_KEEPALIVE, true);
    error = nng_dialer_start(dialer_, NNG_FLAG_NONBLOCK);
  }
  if (error != 0) return fail_nng(Errc::kInvalidArgument, fmt::format("nng address {}", url), error);
  return {};
}

/// nng may report the end of a pipe before, or without, its having been added; only ADD_PRE is first. With
/// a stuck reaper it does not report it at all.
void NngLink::pipe_changed(nng_pipe pipe, nng_pipe_ev event) {
  const auto id = static_cast<std::uint32_t>(nng_pipe_id(pipe));
  const bool added = event == NNG_PIPE_EV_ADD_POST;
  {
    const std::lock_guard lock(mutex_);
    if (event == NNG_PIPE_EV_ADD_PRE) {
      if (retired_) return (void)nng_pipe_close(pipe);
      lose_pipe();
      pipe_ = id;
      heard_at_ = system_clock().mono_now();  // not at ADD_POST, which the first answer may overtake
      answers_ = late_answers_ = 0;
      return;
    }
    if (id != pipe_) return;
    const bool was_connected = connected_;
    if (added) {
      connected_ = !retired_;
      ++epoch_;
    } else {
      lose_pipe();
      if (!was_connected && !retired_) return;
    }
  }
  const std::lock_guard lock(telling_);
  if (on_change_) on_change_(added);
}

void NngLink::lose_pipe() {
  if (pipe_ != 0) lost_.push_back(std::exchange(pipe_, 0));
  if (lost_.size() > kLostMessagesKept) lost_.erase(lost_.begin());
  connected_ = false;
}

bool NngLink::mark_lost(std::uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  if (!connected_ || epoch != epoch_) return false;
  lose_pipe();
  return true;
}

void NngLink::heard() {
  const std::lock_guard lock(mutex_);
  heard_at_ = system_clock().mono_now();
  ++answers_;
}

bool NngLink::silent_since(MonoTime since) {
  const std::lock_guard lock(mutex_);
  if (!connected_ || heard_at_ > since) return false;
  for (const auto& pipe : nng_pipe_stats()) {
    if (pipe.id != pipe_ || pipe.received_messages == answers_ + late_answers_) continue;
    late_answers_ = pipe.received_messages - answers_;
    heard_at_ = system_clock().mono_now();
    return false;
  }
  return true;
}

void NngLink::retire() {
  const std::lock_guard lock(mutex_);
  retired_ = true;
  connected_ = false;
}

bool NngLink::gone() const {
  const std::lock_guard lock(mutex_);
  return pipe_ == 0;
}

bool NngLink::dead() const {
  const std::lock_guard lock(mutex_);
  return nng_reaper_is_stuck(lost_);
}

void NngLink::close() {
  {
    const std::lock_guard lock(telling_);  // waits for a call under way
    on_change_ = nullptr;
  }
  if (!nng_reaper_is_stuck()) {
    if (close_socket(socket_, shared_from_this())) return;
    std::unique_lock lock(mutex_);
    auto closed = lost_;
    closed.push_back(pipe_);
    lock.unlock();
    (void)nng_reaper_is_stuck(closed);  // so that others learn of it
    return;
  }
  // nng_close would wait for the reaper. What is left of the socket, and this, is never freed.
  (void)nng_dialer_close(dialer_);
  {
    const std::lock_guard lock(mutex_);
    if (pipe_ != 0) lost_.push_back(pipe_);
    for (const auto id : lost_) (void)nng_pipe_close(nng_pipe{id});
  }
  [[maybe_unused]] static auto& kept = *new std::deque<std::shared_ptr<NngLink>>;
  static std::mutex keeping;
  const std::lock_guard lock(keeping);
  kept.push_back(shared_from_this());
}

}  // namespace tributary
