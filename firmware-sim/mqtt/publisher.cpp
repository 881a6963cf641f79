#include "firmware-sim/mqtt/publisher.h"

#include <fmt/format.h>

#include <array>
#include <asio.hpp>

#include "common/base/check.h"
#include "common/env/random.h"

namespace tributary::mqtt {
namespace {

using asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kBackoffMin = std::chrono::milliseconds(100);
constexpr auto kBackoffMax = std::chrono::milliseconds(5000);
constexpr auto kStandsAfter = std::chrono::seconds(5);
constexpr auto kConnectTimeout = std::chrono::seconds(10);
constexpr auto kCloseTimeout = std::chrono::seconds(2);
constexpr std::size_t kReadBytes = 16 * 1024;
// Bounds what QoS 0, which has no window, may pile up when the broker reads slowly.
constexpr std::size_t kUnwrittenBytesMax = 256 * 1024;

}  // namespace

/// Handlers of the io_context hold it alive; `generation` tells those of an earlier connection from the
/// present one's.
struct Publisher::Impl : std::enable_shared_from_this<Publisher::Impl> {
  enum class State { kIdle, kConnecting, kHandshake, kConnected, kWaiting, kClosing, kClosed };

  asio::io_context& io;
  const PublisherOptions options;
  Callbacks callbacks;
  PublisherSession session;
  SeededRandom random;

  State state = State::kIdle;
  std::uint64_t generation = 0;
  tcp::resolver resolver{io};
  tcp::socket socket{io};
  asio::steady_timer timer{io};  // the connect timeout, the back-off, or the close timeout
  std::chrono::milliseconds backoff = kBackoffMin;
  SteadyClock::time_point connected_at{};
  std::size_t packet_bytes_max = 0;
  bool session_begun = false;    // the broker holds a session of this run

  std::array<char, kReadBytes> read_buffer;
  std::string incoming;          // an incomplete packet, and what follows it
  std::string writing;
  bool write_running = false, flush_posted = false;
  SteadyClock::time_point last_written{}, ping_sent{};
  bool ping_outstanding = false;
  std::uint16_t keep_alive_s;
  std::function<void()> on_closed;

  Impl(asio::io_context& context, PublisherOptions o, Callbacks c)
      : io(context), options(std::move(o)), callbacks(std::move(c)),
        session(options.version, callbacks.on_outcome), random(options.seed),
        keep_alive_s(options.keep_alive_s) {}

  void connect();
  void send_connect();
  void read();
  void received(std::size_t count);
  Result<> handle(const Incoming& packet);
  Result<> handle_connack(const Incoming& packet);
  void post_flush();
  void flush();
  void lost(const std::string& why);
  void reconnect_after(std::chrono::milliseconds wait);
  void drop_connection();
  void finish_close();
};

void Publisher::Impl::connect() {
  state = State::kConnecting;
  const auto mine = ++generation;
  timer.expires_after(kConnectTimeout);
  timer.async_wait([this, self = shared_from_this(), mine](asio::error_code error) {
    if (!error && mine == generation && state != State::kConnected) lost("no answer within 10 s");
  });
  resolver.async_resolve(
      options.address.host, options.address.port,
      [this, self = shared_from_this(), mine](asio::error_code error, const tcp::resolver::results_type& found) {
        if (mine != generation) return;
        if (error) return lost(fmt::format("{}: {}", options.address.host, error.message()));
        asio::async_connect(socket, found, [this, self, mine](asio::error_code failed, const tcp::endpoint&) {
          if (mine != generation) return;
          if (failed) return lost(failed.message());
          send_connect();
        });
      });
}

void Publisher::Impl::send_connect() {
  asio::error_code ignored;  // an optimisation that the system may refuse
  socket.set_option(tcp::no_delay(true), ignored);
  state = State::kHandshake;
  incoming.clear();
  session.out().clear();
  append_connect({.version = options.version, .client_id = options.client_id, .clean_start = !session_begun,
                  .keep_alive_s = options.keep_alive_s, .session_expiry_s = options.session_expiry_s},
                 session.out());
  flush();
  read();
}

void Publisher::Impl::read() {
  socket.async_read_some(asio::buffer(read_buffer),
                         [this, self = shared_from_this(), mine = generation](asio::error_code error, std::size_t count) {
                           if (mine != generation) return;
                           if (error) return lost(error == asio::error::eof ? "the broker closed the connection"
                                                                            : error.message());
                           received(count);
                         });
}

void Publisher::Impl::received(std::size_t count) {
  // Without a partial packet from before, packets are read where they came in.
  std::string_view in(read_buffer.data(), count);
  if (!incoming.empty()) {
    incoming.append(in);
    in = incoming;
  }
  const auto mine = generation;
  for (;;) {
    auto packet = take_packet(options.version, in);
    if (!packet) return lost(packet.error().message);
    if (!*packet) break;
    if (const auto handled = handle(**packet); !handled) return lost(handled.error().message);
    if (mine != generation) return;  // closed, or reconnecting by design
  }
  incoming = std::string(in);
  post_flush();
  read();
}

Result<> Publisher::Impl::handle(const Incoming& packet) {
  if ((packet.type == PacketType::kConnack) != (state == State::kHandshake) &&
      packet.type != PacketType::kDisconnect)
    return fail(Errc::kCorrupt, fmt::format("MQTT: packet type {} out of turn", static_cast<int>(packet.type)));
  switch (packet.type) {
    case PacketType::kConnack: return handle_connack(packet);
    case PacketType::kPingresp: ping_outstanding = false; return {};
    case PacketType::kDisconnect:
      return fail(Errc::kUnavailable, fmt::format("the broker disconnected: {}",
                                                  describe_reason(options.version, packet.type, packet.reason)));
    default:
      backoff = kBackoffMin;
      session.acknowledged(packet);
      return {};
  }
}

Result<> Publisher::Impl::handle_connack(const Incoming& packet) {
  if (packet.reason != 0)
    return fail(Errc::kUnavailable, fmt::format("the broker refused the connection: {}",
                                                describe_reason(options.version, packet.type, packet.reason)));
  if (packet.maximum_qos < options.qos)
    return fail(Errc::kUnsupported, fmt::format("the broker serves QoS 0 to {} only", packet.maximum_qos));
  const bool cleaned = !session_begun;
  session_begun = true;
  if (cleaned && options.version == Version::k3_1_1) {
    // A clean session of 3.1.1 ends with its connection; the lasting one begins with the next.
    append_disconnect(options.version, SessionEnd::kNow, session.out());
    asio::error_code ignored;  // if it fails, the close below says the same
    asio::write(socket, asio::buffer(session.out()), ignored);
    drop_connection();
    connect();
    return {};
  }
  keep_alive_s = packet.server_keep_alive_s.value_or(options.keep_alive_s);
  state = State::kConnected;
  packet_bytes_max = packet.maximum_packet_bytes;
  ping_outstanding = false;
  connected_at = last_written = SteadyClock::now();
  timer.cancel();
  session.connected(packet);
  callbacks.on_connected();
  return {};
}

void Publisher::Impl::post_flush() {
  if (flush_posted || write_running || session.out().empty()) return;
  flush_posted = true;
  asio::post(io, [this, self = shared_from_this()] {
    flush_posted = false;
    flush();
  });
}

void Publisher::Impl::flush() {
  if (write_running || session.out().empty()) return;
  if (state != State::kConnected && state != State::kHandshake && state != State::kClosing) return;
  writing.clear();
  writing.swap(session.out());
  write_running = true;
  asio::async_write(socket, asio::buffer(writing),
                    [this, self = shared_from_this(), mine = generation](asio::error_code error, std::size_t) {
                      if (mine != generation) return;
                      write_running = false;
                      last_written = SteadyClock::now();
                      if (error) return lost(error.message());
                      if (state == State::kClosing && session.out().empty()) return finish_close();
                      flush();
                    });
}

void Publisher::Impl::drop_connection() {
  ++generation;
  asio::error_code ignored;  // closing is all that is wanted
  resolver.cancel();
  timer.cancel();
  socket.close(ignored);
  write_running = false;
  session.connection_lost();
}

void Publisher::Impl::lost(const std::string& why) {
  if (state == State::kClosing) return finish_close();
  if (state == State::kClosed) return;
  if (state == State::kConnected && SteadyClock::now() - connected_at >= kStandsAfter) backoff = kBackoffMin;
  drop_connection();
  state = State::kWaiting;
  const auto half = backoff.count() / 2;
  reconnect_after(std::chrono::milliseconds(half + static_cast<std::int64_t>(random.unit() * static_cast<double>(half))));
  backoff = std::min(backoff * 2, kBackoffMax);
  callbacks.on_disconnected(why);
}

void Publisher::Impl::reconnect_after(std::chrono::milliseconds wait) {
  timer.expires_after(wait);
  timer.async_wait([this, self = shared_from_this(), mine = generation](asio::error_code error) {
    if (!error && mine == generation) connect();
  });
}

void Publisher::Impl::finish_close() {
  drop_connection();
  state = State::kClosed;
  if (auto done = std::exchange(on_closed, nullptr)) done();
}

Publisher::Publisher(asio::io_context& io, PublisherOptions options, Callbacks callbacks)
    : impl_(std::make_shared<Impl>(io, std::move(options), std::move(callbacks))) {}
Publisher::~Publisher() { ++impl_->generation; }

void Publisher::start() {
  CHECK(impl_->state == Impl::State::kIdle, "started twice");
  impl_->connect();
}

bool Publisher::connected() const { return impl_->state == Impl::State::kConnected; }
std::size_t Publisher::packet_bytes_max() const { return impl_->packet_bytes_max; }
Version Publisher::version() const { return impl_->options.version; }
std::size_t Publisher::in_flight() const { return impl_->session.in_flight(); }
std::size_t Publisher::unwritten_bytes() const {
  return impl_->session.out().size() + (impl_->write_running ? impl_->writing.size() : 0);
}

bool Publisher::can_publish() const {
  return connected() && impl_->session.has_room() && impl_->session.out().size() < kUnwrittenBytesMax;
}

void Publisher::publish(std::string_view topic, std::string_view payload, int qos, std::uint64_t token) {
  CHECK(connected(), "publish without a connection");
  impl_->session.publish(topic, payload, qos, token);
  impl_->post_flush();
}

void Publisher::keep_alive() {
  auto& impl = *impl_;
  if (impl.state != Impl::State::kConnected || impl.keep_alive_s == 0) return;
  const auto now = SteadyClock::now();
  const auto half = std::chrono::milliseconds(impl.keep_alive_s * 500);
  if (impl.ping_outstanding) {
    if (now - impl.ping_sent > half) impl.lost("no PINGRESP: the connection is dead");
  } else if (now - impl.last_written > half || (impl.session.in_flight() > 0 && now - impl.ping_sent > half)) {
    impl.ping_outstanding = true;
    impl.ping_sent = now;
    append_pingreq(impl.session.out());
    impl.post_flush();
  }
}

void Publisher::close(std::function<void()> on_closed) {
  auto& impl = *impl_;
  CHECK(!impl.on_closed, "closed twice");
  impl.on_closed = std::move(on_closed);
  if (impl.state != Impl::State::kConnected) return impl.finish_close();
  impl.state = Impl::State::kClosing;
  append_disconnect(impl.options.version, SessionEnd::kNow, impl.session.out());
  impl.timer.expires_after(kCloseTimeout);
  impl.timer.async_wait([held = impl_, mine = impl.generation](asio::error_code error) {
    if (!error && mine == held->generation) held->finish_close();
  });
  impl.flush();
}

}  // namespace tributary::mqtt
