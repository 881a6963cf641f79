#include "common/telemetry/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "common/base/check.h"
#include "common/telemetry/metrics.h"

namespace tributary {
namespace {

/// Hands connections to a fixed number of threads. httplib's own pool queues without bound; here
/// accepting waits while `waiting_max` connections wait.
class BoundedThreads final : public httplib::TaskQueue {
 public:
  BoundedThreads(int threads, std::size_t waiting_max) : waiting_max_(waiting_max) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }

  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tasks_.size() < waiting_max_; });
    tasks_.push_back(std::move(task));
    lock.unlock();
    changed_.notify_all();
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      shutdown_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !tasks_.empty() || shutdown_; });
      if (tasks_.empty()) return;
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      changed_.notify_all();
      task();
    }
  }

  const std::size_t waiting_max_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool shutdown_ = false;                    // guarded by mutex_
};

constexpr std::size_t kWaitingMax = 8;
constexpr std::chrono::milliseconds kDrainTime{200};

/// One request on one socket: at most `bytes_left` bytes are read, all before `deadline`. httplib itself
/// bounds neither the number of header lines nor the time that a byte-by-byte sender takes.
class BoundedStream final : public httplib::Stream {
 public:
  BoundedStream(int descriptor, int stopping, std::size_t bytes_max, std::chrono::milliseconds timeout)
      : descriptor_(descriptor), stopping_(stopping), bytes_left_(bytes_max),
        deadline_(std::chrono::steady_clock::now() + timeout) {}

  bool is_readable() const override { return position_ < size_ || ready(POLLIN); }
  bool is_writable() const override { return ready(POLLOUT); }

  ssize_t read(char* out, std::size_t size) override {
    if (position_ == size_) {
      if (bytes_left_ == 0 || !ready(POLLIN)) return -1;
      const auto got = ::recv(descriptor_, buffer_, std::min(sizeof buffer_, bytes_left_), 0);
      if (got <= 0) return got;
      bytes_left_ -= static_cast<std::size_t>(got);
      position_ = 0;
      size_ = static_cast<std::size_t>(got);
    }
    const auto count = std::min(size, size_ - position_);
    std::memcpy(out, buffer_ + position_, count);
    position_ += count;
    return static_cast<ssize_t>(count);
  }

  ssize_t write(const char* bytes, std::size_t size) override {
    return ready(POLLOUT) ? ::send(descriptor_, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
  }

  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return descriptor_; }

  /// Reads what the peer still sends, so that closing does not reset the connection before it has read
  /// the answer.
  void drain() {
    ::shutdown(descriptor_, SHUT_WR);
    deadline_ = std::min(deadline_, std::chrono::steady_clock::now() + kDrainTime);
    while (bytes_left_ > 0 && ready(POLLIN)) {
      const auto got = ::recv(descriptor_, buffer_, std::min(sizeof buffer_, bytes_left_), 0);
      if (got <= 0) return;
      bytes_left_ -= static_cast<std::size_t>(got);
    }
  }

 private:
  [[nodiscard]] bool ready(short events) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    pollfd waiting[] = {{descriptor_, events, 0}, {stopping_, POLLIN, 0}};
    return left.count() > 0 && ::poll(waiting, 2, static_cast<int>(left.count())) > 0 &&
           waiting[1].revents == 0;
  }

  const int descriptor_;
  const int stopping_;
  std::size_t bytes_left_;
  std::chrono::steady_clock::time_point deadline_;
  char buffer_[2048];
  std::size_t position_ = 0;
  std::size_t size_ = 0;
};

class BoundedServer final : public httplib::Server {
 public:
  explicit BoundedServer(const HttpServer::Options& options) : options_(options) {
    CHECK(stopping_ >= 0, "eventfd: errno {}", errno);
  }
  ~BoundedServer() override { ::close(stopping_); }

  /// Ends the waits of all connections.
  void interrupt() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stopping_, &one, sizeof one);
  }

 private:
  bool process_and_close_socket(socket_t descriptor) override {
    BoundedStream stream(descriptor, stopping_, options_.request_bytes_max, options_.io_timeout);
    bool closed = false;
    const bool ok = process_request(stream, true, closed, nullptr);
    stream.drain();
    ::close(descriptor);
    return ok;
  }

  const HttpServer::Options& options_;
  const int stopping_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);  // readable once stopping
};

HttpResponse health_response(const HttpServer::Health& health) {
  const auto report = health ? health() : HealthReport{};
  HttpResponse response;
  response.status = report.ok ? 200 : 503;
  response.body = (report.reason.empty() ? std::string(report.ok ? "ok" : "not ok") : report.reason) + "\n";
  return response;
}

}  // namespace

struct HttpServer::Impl {
  Options options;
  std::map<std::string, Handler> handlers;  // constant after start()
  BoundedServer server{options};
  std::thread accepting;
  std::uint16_t port = 0;

  void configure() {
    server.new_task_queue = [this] { return new BoundedThreads(options.threads, kWaitingMax); };
    // httplib's default sets SO_REUSEPORT: a second program would silently share the port.
    server.set_socket_options([](int descriptor) {
      const int yes = 1;
      ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    // All routing happens here, before a body is read and without httplib's regular expressions.
    server.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& out) {
      const auto response = route(request);
      out.status = response.status;
      out.set_content(response.body, response.content_type);
      return httplib::Server::HandlerResponse::Handled;
    });
  }

  HttpResponse route(const httplib::Request& request) const {
    if (request.method != "GET" && request.method != "HEAD") return {405, "text/plain", "only GET\n"};
    const auto handler = handlers.find(request.path);
    if (handler != handlers.end()) return handler->second({request.method, request.path, request.params});
    std::string known = "not found; there are:\n";
    for (const auto& [path, unused] : handlers) known += path + "\n";
    return {404, "text/plain; charset=utf-8", known};
  }
};

HttpServer::HttpServer(Options options, const MetricsRegistry& metrics, Health healthz, Health readyz)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  get("/healthz", [healthz](const HttpRequest&) { return health_response(healthz); });
  get("/readyz", [readyz](const HttpRequest&) { return health_response(readyz); });
  get("/metrics", [&metrics](const HttpRequest&) {
    return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", metrics.serialize()};
  });
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::get(const std::string& path, Handler handler) {
  CHECK(!impl_->accepting.joinable(), "handlers come before start()");
  impl_->handlers[path] = std::move(handler);
}

Result<> HttpServer::start() {
  CHECK(!impl_->accepting.joinable(), "started twice");
  impl_->configure();
  const auto& host = impl_->options.host;
  int port = impl_->options.port;
  errno = 0;
  if (port == 0) port = impl_->server.bind_to_any_port(host);
  else if (!impl_->server.bind_to_port(host, port)) port = -1;
  if (port < 0) {
    const int error = errno;
    const auto what = fmt::format("http {}:{}", host, impl_->options.port);
    if (error == EADDRINUSE)
      return fail(Errc::kAlreadyExists, fmt::format("{}: {}", what, std::strerror(error)));
    if (error == 0 || error == ENOENT)
      return fail(Errc::kInvalidArgument, fmt::format("{}: the host does not resolve", what));
    return fail_errno(what, error);
  }
  impl_->port = static_cast<std::uint16_t>(port);
  impl_->accepting = std::thread([this] { impl_->server.listen_after_bind(); });
  // stop() before httplib considers itself running would be lost.
  while (!impl_->server.is_running()) std::this_thread::yield();
  return {};
}

std::uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::stop() {
  if (!impl_->accepting.joinable()) return;
  impl_->server.stop();
  impl_->server.interrupt();
  impl_->accepting.join();
}

}  // namespace tributary
