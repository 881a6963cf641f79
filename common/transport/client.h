#pragma once
// Requests to one peer: many in flight, each completed exactly once.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"

namespace tributary {

class Payload;  // common/protocol/payload.h

/// A lasting relation to one peer that connects, and connects again, by itself. Thread-safe.
///
/// Requests leave in the order of the send() calls. When a connection is lost, requests that were sent
/// on it complete with kUnavailable (they may or may not have been carried out) and those still waiting
/// go out on the next connection in their order. The peer may still be working on requests of the lost
/// connection when those of the next arrive: across a reconnection the peer may see them in any order.
class RequestChannel {
 public:
  using Done = std::function<void(Result<SharedBytes>)>;

  /// Completes what is outstanding with kUnavailable and waits for running callbacks; must not be
  /// destroyed inside one.
  virtual ~RequestChannel() = default;

  /// Sends a request frame (without length). `done` is called exactly once with the response frame
  /// (its first four bytes are the correlation id) or with
  ///   kTimeout      no answer within `timeout` (> 0), which counts from this call, waiting included;
  ///   kUnavailable  the connection was lost, could not be made, or the channel is being destroyed;
  ///   kNoSpace      more than `waiting_max` requests are waiting to be sent;
  ///   kInvalidArgument, kCorrupt  the frame is no request, a file slice of it could not be read, or
  ///                 the answer broke the protocol.
  /// It is called on a thread of the transport, or on the one that destroys the channel, never inside
  /// send(). Callbacks of different requests may run at the same time; they must not block.
  /// The request must be one that is answered: no Produce with acks=0.
  virtual void send(Payload frame, Duration timeout, Done done) = 0;

  /// Whether a connection stands right now.
  [[nodiscard]] virtual bool connected() const = 0;
};

struct NngClientOptions {
  std::size_t answer_bytes_max = 128u << 20;  // NNG_OPT_RECVMAXSZ; larger: the connection is closed

  /// Sent and not answered; further requests wait in the channel. At most 64: see NngServer.
  std::size_t in_flight_max = 48;
  std::size_t waiting_max = 4'096;

  /// A request that was given less time does not show, by timing out, that the connection is dead.
  std::chrono::milliseconds silence_min{1'000};

  // Back-off between connection attempts; nng doubles it and adds jitter.
  std::chrono::milliseconds reconnect_min{100};
  std::chrono::milliseconds reconnect_max{5'000};

  /// Called on threads of the transport whenever a connection comes up or goes down; two calls may
  /// overtake each other, so take it as a hint to ask connected(). Not after the channel's destruction.
  std::function<void(bool connected)> on_connection_change;
};

/// `url`: "tcp://host:port". Never waits for the peer; kInvalidArgument if nng does not take the URL.
/// Requests wait for the connection until their timeout. If one times out on a connection that has brought
/// no whole answer in all its time, another connection is made; what was sent on the silent one completes
/// with kUnavailable. That is left for a minute (at most two are), since closing it could hang nng.
/// For the same reason the channel's destruction waits up to 100 ms for answers that are on their way.
[[nodiscard]] Result<std::unique_ptr<RequestChannel>> connect_nng(const std::string& url,
                                                                  NngClientOptions options = {});

struct KafkaTcpClientOptions {
  std::size_t answer_bytes_max = 128u << 20;
  std::size_t in_flight_max = 64;
  std::size_t waiting_max = 4'096;
  std::chrono::milliseconds connect_timeout{5'000};

  /// Called on the channel's thread whenever a connection comes up or goes down.
  std::function<void(bool connected)> on_connection_change;
};

/// Has a thread of its own. Connects when there is something to send; when that fails, all waiting
/// requests complete with kUnavailable. Answers are matched by their order and checked by their
/// correlation id. If a request times out and nothing at all was received since it was sent, the
/// connection is taken for dead and closed.
[[nodiscard]] Result<std::unique_ptr<RequestChannel>> connect_kafka_tcp(
    const std::string& host, std::uint16_t port, KafkaTcpClientOptions options = {});

}  // namespace tributary
