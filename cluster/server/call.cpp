#include "cluster/server/call.h"

#include "cluster/server/server_metrics.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

// A peer that sends garbage must not fill the disk with logs.
OncePer malformed_log{std::chrono::seconds(10)};

}  // namespace

Call::Call(ServerContext& server, IncomingRequest request, const RequestFrame& frame, Responder responder)
    : server_(server), request_(std::move(request)), header_(frame.header), body_(frame.body),
      responder_(std::move(responder)), received_(server.clock.mono_now()) {}

void Call::no_reply(ErrorCode first_error) {
  server_.metrics.count_request(header_.api, first_error);
  responder_.no_answer();
}

void Call::drop(std::string_view why, ErrorCode error) {
  server_.metrics.count_request(header_.api, error);
  if (const auto turn = malformed_log.turn())
    log_warning("server", "closing a connection",
                {{"peer", *request_.peer}, {"api", name_of(header_.api)}, {"version", header_.version},
                 {"reason", why}, {"unsaid", turn.suppressed}});
  responder_.close();
}

void Call::malformed(const Error& error) {
  server_.metrics.malformed_requests.inc();
  drop(error.message, ErrorCode::kInvalidRequest);
}

void Call::finish(Result<Payload> answer, ErrorCode first_error) {
  // An answer that does not fit its version is a bug of ours; the client learns it from the closed connection.
  if (!answer) return drop(answer.error().message, ErrorCode::kUnknownServerError);
  server_.metrics.count_request(header_.api, first_error);
  responder_.respond(*std::move(answer));
}

}  // namespace tributary
