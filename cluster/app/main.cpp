// tributary-broker: one broker, and the HTTP listener beside it.

#include <malloc.h>
#include <sys/resource.h>

#include "cluster/app/broker_settings.h"
#include "cluster/server/broker.h"
#include "common/config/exit_codes.h"
#include "common/env/signals.h"
#include "common/telemetry/log.h"
#include "common/telemetry/metrics.h"

namespace tributary {
namespace {

/// Every segment is an open file, and every client a socket: the soft limit of 1024 is for programs that
/// use select().
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void bound_heap() {
  // An arena per thread would keep what that thread once needed; two serve all shards well enough.
  mallopt(M_ARENA_MAX, 2);
  // Frames of a MiB come from mmap, and go back to the system when they are done with.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int failed(std::string_view what, const Error& error) {
  log_error("broker", what, {{"error", error.message}});
  return error.code == Errc::kInvalidArgument || error.code == Errc::kUnsupported ? kExitUsage : kExitFailure;
}

/// Which setting moves it elsewhere, for the reader of the error.
Error with_way_out(Error error) {
  if (error.code == Errc::kUnavailable || error.code == Errc::kAlreadyExists)
    error.message += " (other addresses: --kafka, --nng, --http)";
  else if (error.code == Errc::kLocked || error.code == Errc::kIo)
    error.message += " (another folder: --data)";
  return error;
}

int run(const BrokerSettings& settings) {
  auto& stop = StopSignal::install();
  MetricsRegistry metrics;
  metrics.add_process_metrics("tributary-broker", TRIBUTARY_VERSION);
  Broker broker(settings.options(), metrics);

  HttpServer http({.host = settings.http().host, .port = settings.http().port}, metrics,
                  [] { return HealthReport{}; }, [&broker] { return broker.readiness(); });
  if (const auto started = http.start(); !started) return failed("cannot start", with_way_out(started.error()));
  log_info("broker", "starting",
           {{"version", TRIBUTARY_VERSION}, {"data", settings.options().data},
            {"http", HostPort{settings.http().host, http.port()}.text()}});
  if (const auto started = broker.start(); !started) return failed("cannot start", with_way_out(started.error()));
  stop.wait();

  log_info("broker", "stopping");
  http.stop();
  if (const auto stopped = broker.stop(); !stopped) return failed("not stopped cleanly", stopped.error());
  return kExitOk;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  tributary::bound_heap();
  tributary::raise_file_limit();
  tributary::BrokerSettings settings;
  if (const auto code = settings.parse(argc, argv)) return *code;
  settings.apply_log_settings();
  return tributary::run(settings);
}
