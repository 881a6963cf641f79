#pragma once
// Requests over nng's REQ/REP protocol: one request or response frame per message.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace asio {
class io_context;
}

namespace tributary {

class RequestHandler;

struct NngServerOptions {
  std::string url = "tcp://0.0.0.0:9093";  // port 0: the system chooses

  /// A message announced larger closes its pipe (NNG_OPT_RECVMAXSZ). nng keeps one that has come in part for as
  /// long as its peer likes, so this is less than what Kafka's clients may send.
  std::size_t frame_bytes_max = 16u << 20;
  std::size_t pipes_max = 4'096;

  // Of the whole listener. Over either, receiving stops until answers have been handed to nng.
  std::size_t requests_in_flight_max = 8'192;
  std::size_t request_bytes_in_flight_max = 256u << 20;

  /// Further requests of a pipe with so many unanswered ones are dropped: its client times out. See
  /// NngServer on how many a client may have.
  std::size_t requests_in_flight_per_pipe_max = 512;
  /// A pipe whose peer leaves more than this of answers unread gets no further ones, and its requests are
  /// dropped, until it has read. Checked after every so many bytes of answers.
  std::size_t answer_bytes_queued_per_pipe_max = 64u << 20;

  /// As KafkaTcpServerOptions::on_event; called on the shards' threads and nng's.
  std::function<void(const std::string& event)> on_event;
};

/// Readable from any thread. Monotonic but for pipes_open.
struct NngServerStats {
  std::atomic<std::uint64_t> pipes_open{0};
  std::atomic<std::uint64_t> pipes_accepted{0};
  std::atomic<std::uint64_t> pipes_refused{0};      // over pipes_max
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> requests_dropped{0};   // over a per-pipe limit
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  /// nng gives nothing back of pipes that end from now on (descriptors, some kilobytes each, pipes_open):
  /// a fault of nng 1.5 that one in a hundred connections cut under load brings about. Serving goes on;
  /// the program should be restarted at leisure.
  std::atomic<bool> reaper_stuck{false};
  std::atomic<std::uint64_t> malformed{0};          // shorter than a request header; dropped
};

/// A raw REP0 socket. Requests of one pipe are handed over in their order on one shard; answers go back
/// in the order in which they are given. Frames are the received nng messages, not copies of them.
/// File slices are read into the answer's message (blocking on the disk).
///
/// nng 1.5 keeps at most 64 answers queued per pipe and drops further ones without a word (xrep.c), so a
/// client must not have more than 64 requests outstanding on one connection; NngClientOptions keeps that.
///
/// Misbehaving pipes are ignored rather than closed, and stop() lets traffic come to rest for some
/// milliseconds first, because closing a pipe in the middle of a transfer can hang nng 1.5 (close_socket).
class NngServer {
 public:
  /// Binds and starts to receive; otherwise as KafkaTcpServer::start.
  [[nodiscard]] static Result<std::unique_ptr<NngServer>> start(NngServerOptions options,
                                                                std::vector<asio::io_context*> shards,
                                                                RequestHandler& handler);
  /// stop().
  ~NngServer();

  /// As KafkaTcpServer::stop. Takes up to some seconds.
  void stop();

  /// With the port that was really bound: "tcp://0.0.0.0:9093".
  [[nodiscard]] const std::string& url() const;
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] const NngServerStats& stats() const;

 private:
  struct Impl;
  explicit NngServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace tributary
