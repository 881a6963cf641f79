#pragma once
// The HTTP listener of a program: health, readiness, Prometheus metrics.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/result.h"

namespace tributary {

class MetricsRegistry;

/// What /healthz and /readyz answer: 200 "ok", or 503 with the reason.
struct HealthReport {
  bool ok = true;
  std::string reason;  // e.g. "log readings-0 is offline: fdatasync: Input/output error"
};

struct HttpRequest {
  std::string method;
  std::string path;
  std::multimap<std::string, std::string> query;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Construct, add handlers, start, stop. Two worker threads and one that accepts; a connection more than
/// those can serve waits. A connection carries one request, bounded in bytes and in time from its first
/// byte to the last of the answer, so a slow or endless sender holds a thread for `io_timeout` at most.
/// All callbacks run on the worker threads, possibly two at once: thread-safe, quick, no throw.
class HttpServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;  // 0: the system chooses one, see port()
    int threads = 2;
    std::chrono::milliseconds io_timeout{2000};
    std::size_t request_bytes_max = 32 * 1024;
  };
  using Health = std::function<HealthReport()>;
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  /// `metrics` must outlive the server. `healthz`: is this process working (else: restart it).
  /// `readyz`: does it serve just now.
  HttpServer(Options options, const MetricsRegistry& metrics, Health healthz, Health readyz);
  ~HttpServer();  // stops

  /// GET `path`, an exact path. Before start().
  void get(const std::string& path, Handler handler);

  /// Binds and serves. kAlreadyExists "http 127.0.0.1:9094: Address already in use" when the port is
  /// taken, kInvalidArgument for a host that does not resolve. Once.
  [[nodiscard]] Result<> start();
  /// The port in use; 0 before start().
  [[nodiscard]] std::uint16_t port() const;
  /// Returns when no callback runs any more. Safe to call twice.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
