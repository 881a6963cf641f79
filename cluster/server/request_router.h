#pragma once
// From a frame to the handler of its API.

#include "cluster/server/server_context.h"
#include "common/transport/server.h"

namespace tributary {

/// Stateless beside its context; serves all shards and listeners. What cannot be decoded, and what is not served, closes
/// its connection, as Kafka's brokers do; ApiVersions of an unknown version is answered (KIP-511).
class RequestRouter final : public RequestHandler {
 public:
  explicit RequestRouter(ServerContext& server) : server_(server) {}
  void handle(IncomingRequest request, Responder responder) override;

 private:
  ServerContext& server_;
};

}  // namespace tributary
