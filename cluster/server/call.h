#pragma once
// One request while it is worked on.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/server/server_context.h"
#include "cluster/server/shard.h"
#include "common/protocol/frame.h"
#include "common/transport/server.h"

namespace tributary {

/// Belongs to its home shard: the one that the connection lives on. Exactly one of reply(), no_reply() or
/// drop() is called, there. Handlers keep it in a shared_ptr as long as they work.
class Call {
 public:
  Call(ServerContext& server, IncomingRequest request, const RequestFrame& frame, Responder responder);

  [[nodiscard]] ServerContext& server() const { return server_; }
  [[nodiscard]] Shard& home() const { return *server_.shards[request_.shard]; }
  [[nodiscard]] const RequestHeader& header() const { return header_; }
  [[nodiscard]] std::int16_t version() const { return header_.version; }
  /// "127.0.0.1:41234"
  [[nodiscard]] const std::string& peer() const { return *request_.peer; }
  [[nodiscard]] Listener listener() const { return request_.listener; }
  [[nodiscard]] MonoTime received() const { return received_; }

  /// The request's message; its views live as long as this call. A body that does not decode drops the
  /// call (Kafka closes the connection as well) and gives nothing.
  template <RequestMessage Request>
  [[nodiscard]] std::optional<Request> decode() {
    auto decoded = decode_request<Request>(body_, header_.version);
    if (decoded) return *std::move(decoded);
    malformed(decoded.error());
    return std::nullopt;
  }

  /// `first_error` is what the metrics count the answer as.
  template <Message Response>
  void reply(const Response& response, ErrorCode first_error) {
    reply_in_version(response, header_.version, first_error);
  }
  template <Message Response>
  void reply_in_version(const Response& response, std::int16_t version, ErrorCode first_error) {
    finish(encode_response(header_.correlation_id, version, response), first_error);
  }

  /// See Responder. Before the answer.
  void watch_connection(std::function<void()> ended) { responder_.watch_connection(std::move(ended)); }

  /// For Produce with acks=0, when it has been carried out.
  void no_reply(ErrorCode first_error);
  /// Closes the connection; `why` is logged.
  void drop(std::string_view why, ErrorCode error);

 private:
  void malformed(const Error& error);
  void finish(Result<Payload> answer, ErrorCode first_error);

  ServerContext& server_;
  IncomingRequest request_;  // keeps the frame
  RequestHeader header_;
  ByteView body_;
  Responder responder_;
  const MonoTime received_;
};

using CallPtr = std::shared_ptr<Call>;

}  // namespace tributary
