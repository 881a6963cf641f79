// tributary-gateway: takes readings over MQTT, keeps them safe, and carries them to the cluster.

#include <malloc.h>

#include "common/config/exit_codes.h"
#include "common/env/signals.h"
#include "gateway/app/gateway.h"

int main(int argc, char** argv) {
  using namespace tributary;
  mallopt(M_ARENA_MAX, 2);  // an arena for each thread would cost a small device megabytes
  auto& stop = StopSignal::install();
  GatewayOptions options;
  Settings settings({"tributary-gateway", "Takes readings over MQTT, keeps them safe, and carries them to the cluster",
                     TRIBUTARY_VERSION});
  options.declare(settings);
  if (const auto code = settings.parse(argc, argv)) return *code;
  options.log.apply();
  auto gateway = Gateway::start(options);
  if (!gateway) {
    fmt::print(stderr, "tributary-gateway: {}\n", gateway.error().message);
    return gateway.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  stop.wait();
  (*gateway)->stop();
  return kExitOk;
}
