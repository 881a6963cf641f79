#include "common/transport/kafka_tcp_server.h"

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <future>
#include <unordered_set>

#include "common/base/check.h"
#include "common/transport/kafka_connection.h"

namespace tributary {

using asio::ip::tcp;

namespace {

constexpr std::size_t kScratchBytes = 64u << 10;

/// sendfile raises SIGPIPE where send has MSG_NOSIGNAL.
void ignore_sigpipe() {
  struct sigaction current {};
  if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL)
    ::signal(SIGPIPE, SIG_IGN);
}

Result<tcp::acceptor> listen_on(asio::io_context& context, const std::string& host,
                                std::uint16_t port) {
  const auto where = fmt::format("kafka listener {}:{}", host, port);
  std::error_code error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty())
    return fail(Errc::kInvalidArgument, fmt::format("{}: {}", where, error.message()));
  const auto endpoint = found.begin()->endpoint();
  tcp::acceptor acceptor(context);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return acceptor;
  if (error == asio::error::address_in_use)
    return fail(Errc::kUnavailable, fmt::format("{}: the port is in use", where));
  const bool wrong_address = error.value() == EADDRNOTAVAIL;
  return fail(wrong_address ? Errc::kInvalidArgument : Errc::kIo,
              fmt::format("{}: {}", where, error.message()));
}

}  // namespace

struct KafkaTcpServer::Impl : std::enable_shared_from_this<Impl> {
  /// A shard's connections and timers: its thread only. `claim` decides whether the shard's thread came
  /// to start before stop() did.
  struct Shard : KafkaShard {
    enum Claim : int { kUnclaimed, kRunning, kStopped };
    std::atomic<int> claim{kUnclaimed};
    std::unordered_set<std::shared_ptr<KafkaConnection>> connections;
    std::unique_ptr<asio::steady_timer> sweep;
    int loops = 0;  // accept and sweep coroutines
    bool stopping = false;
    bool done_signalled = false;
    std::promise<void> done;
  };

  KafkaTcpServerOptions options;
  KafkaTcpServerStats stats;
  std::vector<std::shared_ptr<Shard>> shards;
  std::optional<tcp::acceptor> acceptor;  // shards[0]'s thread
  std::unique_ptr<asio::steady_timer> accept_pause;
  std::uint16_t port = 0;
  std::uint64_t accepted = 0;
  bool stopped = false;

  void start_shard(const std::shared_ptr<Shard>& shard);
  void stop_shard(Shard& shard);
  void signal_if_done(Shard& shard);
  asio::awaitable<void> accept_loop(std::shared_ptr<Shard> shard);
  asio::awaitable<void> sweep_loop(std::shared_ptr<Shard> shard);
  void adopt(const std::shared_ptr<Shard>& shard, tcp::socket socket, std::uint64_t id);
  void stop();
};

void KafkaTcpServer::Impl::start_shard(const std::shared_ptr<Shard>& shard) {
  int expected = Shard::kUnclaimed;
  if (!shard->claim.compare_exchange_strong(expected, Shard::kRunning)) return;
  shard->scratch.resize(kScratchBytes);
  auto& context = *shard->context;
  shard->sweep = std::make_unique<asio::steady_timer>(context);
  shard->loops = 1;
  asio::co_spawn(context, [self = shared_from_this(), shard] { return self->sweep_loop(shard); },
                 asio::detached);
  if (shard->index != 0) return;
  accept_pause = std::make_unique<asio::steady_timer>(context);
  ++shard->loops;
  asio::co_spawn(context, [self = shared_from_this(), shard] { return self->accept_loop(shard); },
                 asio::detached);
}

asio::awaitable<void> KafkaTcpServer::Impl::accept_loop(std::shared_ptr<Shard> shard) {
  while (!shard->stopping) {
    const auto& target = shards[accepted % shards.size()];
    std::error_code error;
    auto socket = co_await acceptor->async_accept(*target->context,
                                                  asio::redirect_error(asio::use_awaitable, error));
    if (shard->stopping) break;
    if (error) {  // out of descriptors, most likely: the peer waits in the backlog
      accept_pause->expires_after(std::chrono::milliseconds(100));
      co_await accept_pause->async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (stats.connections_open >= options.connections_max) {
      ++stats.connections_refused;
      continue;
    }
    ++stats.connections_open;
    ++stats.connections_accepted;
    const auto id = ++accepted;
    asio::post(*target->context,
               [self = shared_from_this(), target, id, moved = std::move(socket)]() mutable {
                 self->adopt(target, std::move(moved), id);
               });
  }
  --shard->loops;
  signal_if_done(*shard);
}

void KafkaTcpServer::Impl::adopt(const std::shared_ptr<Shard>& shard, tcp::socket socket,
                                 std::uint64_t id) {
  if (shard->stopping || shard->claim != Shard::kRunning) {
    --stats.connections_open;
    return;
  }
  auto connection = std::make_shared<KafkaConnection>(shard, std::move(socket), id);
  shard->connections.insert(connection);
  connection->start([self = shared_from_this(), shard, weak = std::weak_ptr(connection)] {
    shard->connections.erase(weak.lock());
    --self->stats.connections_open;
    self->signal_if_done(*shard);
  });
}

asio::awaitable<void> KafkaTcpServer::Impl::sweep_loop(std::shared_ptr<Shard> shard) {
  const auto shortest = std::min({options.idle_timeout, options.half_closed_timeout, options.frame_timeout});
  const auto period = std::clamp<std::chrono::milliseconds>(shortest / 8, std::chrono::milliseconds(10),
                                                            std::chrono::seconds(10));
  while (!shard->stopping) {
    std::error_code error;
    shard->sweep->expires_after(period);
    co_await shard->sweep->async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto now = std::chrono::steady_clock::now();
    // Shutting only marks a connection: it leaves the set when its coroutines have ended.
    for (const auto& connection : shard->connections) connection->shut_if_idle(now);
  }
  --shard->loops;
  signal_if_done(*shard);
}

void KafkaTcpServer::Impl::stop_shard(Shard& shard) {
  shard.stopping = true;
  if (shard.index == 0) {
    std::error_code ignored;
    acceptor->close(ignored);
    if (accept_pause) accept_pause->cancel();
  }
  if (shard.sweep) shard.sweep->cancel();
  for (const auto& connection : shard.connections) connection->stop();
  signal_if_done(shard);
}

void KafkaTcpServer::Impl::signal_if_done(Shard& shard) {
  if (!shard.stopping || shard.loops > 0 || !shard.connections.empty() || shard.done_signalled) return;
  shard.sweep.reset();
  if (shard.index == 0) accept_pause.reset();
  shard.done_signalled = true;
  shard.done.set_value();
}

void KafkaTcpServer::Impl::stop() {
  if (std::exchange(stopped, true)) return;
  std::vector<std::future<void>> waits;
  for (const auto& shard : shards) {
    int expected = Shard::kUnclaimed;
    const bool never_ran = shard->claim.compare_exchange_strong(expected, Shard::kStopped);
    if (never_ran || shard->context->stopped()) {
      // No thread runs it, or ever will: its suspended coroutines, if any, are destroyed with the
      // io_context, when nothing that belongs to that may be left.
      stop_shard(*shard);
      for (const auto& connection : shard->connections) connection->abandon();
      shard->connections.clear();
      shard->sweep.reset();
      if (shard->index == 0) accept_pause.reset();
      continue;
    }
    waits.push_back(shard->done.get_future());
    asio::post(*shard->context, [self = shared_from_this(), shard] { self->stop_shard(*shard); });
  }
  for (auto& wait : waits) wait.wait();
  acceptor.reset();
}

Result<std::unique_ptr<KafkaTcpServer>> KafkaTcpServer::start(KafkaTcpServerOptions options,
                                                              std::vector<asio::io_context*> shards,
                                                              RequestHandler& handler) {
  CHECK(!shards.empty(), "a server needs a shard");
  ASSIGN_OR_RETURN(auto acceptor, listen_on(*shards[0], options.host, options.port));
  ignore_sigpipe();
  auto impl = std::make_shared<Impl>();
  impl->options = std::move(options);
  impl->port = acceptor.local_endpoint().port();
  impl->acceptor.emplace(std::move(acceptor));
  const auto budget = std::make_shared<FrameBudget>(
      std::max(impl->options.partial_frame_bytes_max, impl->options.frame_bytes_max));
  for (auto* context : shards) {
    auto shard = std::make_shared<Impl::Shard>();
    shard->index = impl->shards.size();
    shard->context = context;
    shard->handler = &handler;
    shard->options = &impl->options;
    shard->stats = &impl->stats;
    shard->budget = budget;
    impl->shards.push_back(std::move(shard));
  }
  // All shards are claimed before the first connection can be posted to them, except where stop() wins.
  for (auto shard = impl->shards.rbegin(); shard != impl->shards.rend(); ++shard)
    asio::post(*(*shard)->context, [impl, own = *shard] { impl->start_shard(own); });
  return std::unique_ptr<KafkaTcpServer>(new KafkaTcpServer(std::move(impl)));
}

KafkaTcpServer::KafkaTcpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaTcpServer::~KafkaTcpServer() { stop(); }
void KafkaTcpServer::stop() { impl_->stop(); }
std::uint16_t KafkaTcpServer::port() const { return impl_->port; }
const KafkaTcpServerStats& KafkaTcpServer::stats() const { return impl_->stats; }

}  // namespace tributary
