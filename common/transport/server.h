#pragma once
// What the listeners and the request handlers agree on.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/bytes/bytes.h"

namespace tributary {

class Payload;  // common/protocol/payload.h

enum class Listener { kKafkaTcp, kNng };

/// One request frame as it arrived: Kafka's, without the 4-byte length. Not validated beyond its size.
struct IncomingRequest {
  SharedBytes frame;                 // at least 8 bytes (api key, version, correlation id)
  std::size_t shard = 0;             // index into the shards that the server was given
  std::uint64_t connection_id = 0;   // a TCP connection or an nng pipe; unique within its server
  std::shared_ptr<const std::string> peer;  // "127.0.0.1:41234", for logs; never null
  Listener listener = Listener::kKafkaTcp;
};

/// The right and the duty to answer one request. Exactly one of respond(), no_answer() or close() is
/// called, on the shard's thread that handle() ran on, within handle() or later; destroying it without
/// a call is close(). When the connection or the server has gone meanwhile, all of them do nothing.
class Responder {
 public:
  /// Where completions go; implemented by the listeners.
  class Target {
   public:
    virtual ~Target() = default;
    virtual void respond(std::uint64_t ticket, Payload answer) = 0;
    virtual void no_answer(std::uint64_t ticket) = 0;
    virtual void close(std::uint64_t ticket) = 0;
    virtual void watch_connection(std::function<void()> ended) = 0;
  };

  Responder() = default;
  Responder(std::shared_ptr<Target> target, std::uint64_t ticket)
      : target_(std::move(target)), ticket_(ticket) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;
  ~Responder();

  /// Sends the answer, a response frame without its length. On Kafka TCP answers leave in the order of
  /// their requests, whatever the order of these calls.
  void respond(Payload answer);

  /// This request has no answer: Produce with acks=0. (An nng client waits for one until it times out.)
  void no_answer();

  /// Kafka TCP: closes the connection; earlier requests' answers may be lost. nng: the request is
  /// dropped, its client times out.
  void close();

  /// Calls `ended` once, later, on the shard's thread, when the connection has ended or its peer sends nothing more
  /// (Kafka TCP), be this request answered by then or not. A connection has one watch: the last one replaces the
  /// former. Never for the server's stop(). Before one of the above.
  void watch_connection(std::function<void()> ended);

  /// False once completed, moved from, or default constructed.
  [[nodiscard]] explicit operator bool() const { return target_ != nullptr; }

 private:
  std::shared_ptr<Target> target_;
  std::uint64_t ticket_ = 0;
};

/// Serves requests. One instance serves all shards and listeners.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  /// Called on the thread of `request.shard`, in the order in which a connection's requests arrived,
  /// without waiting for earlier answers (bounded in flight). Must not block and must not throw.
  virtual void handle(IncomingRequest request, Responder responder) = 0;
};

}  // namespace tributary
