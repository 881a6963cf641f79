#include "gateway/mqtt/mqtt_source.h"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/connect.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <optional>
#include <thread>

#include "common/env/random.h"
#include "common/mqtt/url.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

using asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kBufferBytes = 64 << 10;              // grows to the largest packet, and back
constexpr std::size_t kFixedHeaderMax = 5;

auto noting(std::error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

/// One coroutine on one thread connects and reads, again and again. Other threads change `wish` and post
/// wish_changed(). What else happens on the thread ends a connection by closing its socket.
struct MqttSource::Impl {
  Impl(MqttOptions given, MqttHandler& receiver) : options(std::move(given)), handler(receiver) {}

  const MqttOptions options;
  MqttHandler& handler;

  enum class Wish { kTake, kPause, kStop };
  std::atomic<Wish> wish{Wish::kTake};
  std::atomic<bool> ready{false};
  std::atomic<std::uint64_t> connects{0};

  asio::io_context io{1};
  std::thread thread;

  // The thread's only.
  mqtt::Address address;
  tcp::resolver resolver{io};
  tcp::socket socket{io};
  asio::steady_timer pause{io};     // between connections
  asio::steady_timer watchdog{io};
  std::uint64_t watch_number = 0;   // of the last watch(): a handler that is queued already knows that it is not
  std::optional<SubscriberSession> session;
  std::string writing;
  bool write_running = false;
  std::string trouble;              // why the socket was closed from here
  bool left = false;                // since that was wished
  SteadyClock::time_point connected_at{}, last_read{}, last_written{};
  std::optional<SteadyClock::time_point> pinged;
  SeededRandom random{random_u64_from_os()};
  Duration backoff{};
  SteadyClock::time_point next_attempt{};
  // Who is thrown out as soon as it is connected says so once a minute, too: reset when one has stood for a while.
  OncePer said_connected{std::chrono::minutes(1)};
  OncePer said_unreachable{std::chrono::minutes(1)};

  asio::awaitable<void> run();
  asio::awaitable<Result<>> serve();
  asio::awaitable<Result<>> connect();
  asio::awaitable<Result<>> read();
  asio::awaitable<Result<>> flush();
  void announce();
  void ended(const Result<>& how);
  void watch(Duration interval);
  void check();
  void ping();
  void close(std::string why);
  [[nodiscard]] bool is_over() const { return !trouble.empty(); }
  void wish_changed();
  void change(std::optional<Wish> from, Wish to);
};

asio::awaitable<void> MqttSource::Impl::run() {
  while (wish != Wish::kStop) {
    const auto until = wish == Wish::kPause ? SteadyClock::time_point::max() : next_attempt;
    if (SteadyClock::now() < until) {
      std::error_code woken;
      pause.expires_at(until);
      co_await pause.async_wait(noting(woken));
      continue;
    }
    ended(co_await serve());
  }
}

// One connection, until it ends. No error if that was wished.
asio::awaitable<Result<>> MqttSource::Impl::serve() {
  trouble.clear();
  left = false;
  pinged.reset();
  session.emplace(options, handler);
  watch(options.connect_timeout);
  auto result = co_await connect();
  if (result) result = co_await read();
  const bool stood = ready && SteadyClock::now() - connected_at >= options.settled_after;
  ready = false;
  ++watch_number;
  watchdog.cancel();
  std::error_code ignored;  // closed is all that is wanted
  socket.close(ignored);
  session.reset();
  if (stood) {
    backoff = {};
    said_connected.reset();
    said_unreachable.reset();
  }
  if (left || wish != Wish::kTake) co_return Result<>();
  if (!trouble.empty()) co_return fail(Errc::kUnavailable, trouble);
  co_return result;
}

asio::awaitable<Result<>> MqttSource::Impl::connect() {
  std::error_code error;
  const auto port = static_cast<std::uint16_t>(std::stoul(address.port));
  // Without the lookup's thread, if it is an address.
  if (const auto literal = asio::ip::make_address(address.host, error); !error) {
    co_await socket.async_connect({literal, port}, noting(error));
  } else {
    const auto found = co_await resolver.async_resolve(address.host, address.port, noting(error));
    // A lookup that is under way cannot be cancelled: what was wished, and the time-out, come first.
    if (is_over()) co_return fail(Errc::kUnavailable, trouble);
    if (error) co_return fail(Errc::kUnavailable, fmt::format("{}: {}", address.host, error.message()));
    co_await asio::async_connect(socket, found, noting(error));
  }
  if (is_over()) co_return fail(Errc::kUnavailable, trouble);
  if (error) co_return fail(Errc::kUnavailable, error.message());
  socket.non_blocking(true, error);
  socket.set_option(tcp::no_delay(true), error);  // an optimisation that the system may refuse
  socket.set_option(asio::socket_base::keep_alive(true), error);  // for brokers that want no PINGREQ
  co_return Result<>();
}

asio::awaitable<Result<>> MqttSource::Impl::read() {
  Bytes buffer(kBufferBytes);
  std::size_t filled = 0;
  for (;;) {
    if (auto flushed = co_await flush(); !flushed) co_return flushed;
    std::error_code error;
    filled += co_await socket.async_read_some(asio::buffer(buffer.data() + filled, buffer.size() - filled), noting(error));
    if (error == asio::error::eof) co_return fail(Errc::kUnavailable, "the broker closed the connection");
    if (error) co_return fail(Errc::kUnavailable, error.message());
    last_read = SteadyClock::now();
    const auto taken = session->received(ByteView(buffer).first(filled));
    if (!taken) {
      // What came before is stored: unacknowledged, it would come again before the same trouble each time.
      (void)co_await flush();
      co_return tl::unexpected<Error>(taken.error());
    }
    if (!ready) announce();
    filled -= *taken;
    std::memmove(buffer.data(), buffer.data() + *taken, filled);
    if (filled == buffer.size()) {
      buffer.resize(std::min(2 * buffer.size(), options.packet_bytes_max + kFixedHeaderMax));
    } else if (buffer.size() > kBufferBytes && filled < kBufferBytes) {
      buffer.resize(kBufferBytes);
      buffer.shrink_to_fit();
    }
  }
}

asio::awaitable<Result<>> MqttSource::Impl::flush() {
  if (session->out().empty()) co_return Result<>();
  std::error_code error;
  writing.clear();
  writing.swap(session->out());
  write_running = true;
  last_written = SteadyClock::now();
  co_await asio::async_write(socket, asio::buffer(writing), noting(error));
  write_running = false;
  last_written = SteadyClock::now();
  if (error) co_return fail(Errc::kUnavailable, error.message());
  co_return Result<>();
}

// After each read until it is ready.
void MqttSource::Impl::announce() {
  if (session->connected() && connected_at == SteadyClock::time_point{}) {
    connected_at = SteadyClock::now();
    connects.fetch_add(1, std::memory_order_relaxed);
    if (auto turn = said_connected.turn()) {
      log_info("mqtt", "connected", {{"url", options.url},
                                     {"client_id", options.client_id},
                                     {"session_present", session->session_present()},
                                     {"unsaid", turn.suppressed}});
    }
  }
  if (!session->ready()) return;
  ready = true;
  if (session->expires()) {
    log_warning("mqtt", "the broker keeps the session for less time than asked for: after that its queue is lost",
                {{"url", options.url}, {"seconds", *session->expires()}});
  }
  if (!session->lowered().empty()) {
    log_warning("mqtt", "the broker serves subscriptions at a lower QoS than asked for: messages can be lost",
                {{"url", options.url},
                 {"filter", session->lowered().front()},
                 {"filters", session->lowered().size()}});
  }
  if (session->keep_alive_s() > 0) {
    watch(std::chrono::milliseconds(session->keep_alive_s() * 250));
  } else {
    ++watch_number;
    watchdog.cancel();
  }
}

void MqttSource::Impl::ended(const Result<>& how) {
  connected_at = {};
  if (how) {
    backoff = {};
    next_attempt = {};
    return;
  }
  if (auto turn = said_unreachable.turn()) {
    log_warning("mqtt", "no connection to the MQTT broker, trying again",
                {{"url", options.url}, {"reason", how.error().message}, {"unsaid", turn.suppressed}});
  }
  backoff = std::clamp(backoff * 2, options.backoff_min, options.backoff_max);
  const auto jittered = backoff / 2 + Duration(static_cast<std::int64_t>(
                                          random.unit() * static_cast<double>(backoff.count()) / 2));
  next_attempt = SteadyClock::now() + jittered;
}

// ---- Beside the coroutine ----------------------------------------------------------------------------

void MqttSource::Impl::watch(Duration interval) {
  watchdog.expires_after(interval);
  watchdog.async_wait([this, interval, mine = ++watch_number](std::error_code error) {
    if (error || mine != watch_number) return;
    check();
    if (session && ready) watch(interval);
  });
}

void MqttSource::Impl::check() {
  if (!ready) return close("no answer in time");
  const auto half = std::chrono::milliseconds(session->keep_alive_s() * 500);
  const auto now = SteadyClock::now();
  if (pinged && last_read < *pinged) {
    if (now - *pinged >= half) close("no PINGRESP: the connection is dead");
  } else if (now - last_written >= half || (session->has_unsettled() && !write_running)) {
    ping();
  }
}

// Two bytes always have room, but at a broker that does not read: then it does not answer, either. A write that is
// under way for so long says the same.
void MqttSource::Impl::ping() {
  if (write_running) return close("the broker does not read: the connection is dead");
  pinged = last_written = SteadyClock::now();
  session->ping();
  const auto ping = std::exchange(session->out(), {});
  std::error_code error;
  if (socket.send(asio::buffer(ping), 0, error) != ping.size()) close(error.message());
}

void MqttSource::Impl::close(std::string why) {
  if (trouble.empty()) trouble = std::move(why);
  std::error_code ignored;  // closed is all that is wanted
  resolver.cancel();
  socket.close(ignored);
}

void MqttSource::Impl::wish_changed() {
  pause.cancel();
  if (wish == Wish::kTake || !session) return;
  if (session->connected() && !write_running) {
    // Bytes that do not go out at once stay unsaid: the session is kept in any case.
    std::string disconnect;
    mqtt::append_disconnect(mqtt::Version::k5, mqtt::SessionEnd::kAsAgreed, disconnect);
    std::error_code ignored;
    socket.send(asio::buffer(disconnect), 0, ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }
  left = true;
  close("asked for");
}

void MqttSource::Impl::change(std::optional<Wish> from, Wish to) {
  if (from) {
    if (!wish.compare_exchange_strong(*from, to)) return;
  } else {
    wish = to;
  }
  asio::post(io, [this] { wish_changed(); });
}

// ---- Any thread --------------------------------------------------------------------------------------

MqttSource::MqttSource(MqttOptions options, MqttHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}

MqttSource::~MqttSource() { stop(); }

Result<> MqttSource::start(bool paused) {
  const auto& options = impl_->options;
  ASSIGN_OR_RETURN(impl_->address, mqtt::parse_url(options.url));
  if (options.subscriptions.empty()) return fail(Errc::kInvalidArgument, "mqtt: nothing to subscribe to");
  for (const auto& [filter, qos] : options.subscriptions) {
    if (qos != 0 && qos != 1) {
      return fail(Errc::kInvalidArgument, fmt::format("mqtt {}: QoS {}, expected 0 or 1", filter, qos));
    }
  }
  if (paused) impl_->wish = Impl::Wish::kPause;
  asio::co_spawn(impl_->io, impl_->run(), asio::detached);
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "mqtt");
    impl->io.run();
  });
  return {};
}

void MqttSource::pause() { impl_->change(Impl::Wish::kTake, Impl::Wish::kPause); }
void MqttSource::resume() { impl_->change(Impl::Wish::kPause, Impl::Wish::kTake); }

bool MqttSource::ready() const { return impl_->ready; }
std::uint64_t MqttSource::connects() const { return impl_->connects; }

void MqttSource::stop() {
  impl_->change(std::nullopt, Impl::Wish::kStop);
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace tributary
