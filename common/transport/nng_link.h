#pragma once
// One REQ0 socket and its dialer, and whether its connection stands. Internal to the folder.

#include <nng/nng.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/transport/client.h"

namespace tributary {

/// nng dials again by itself when a connection is lost, but for a fault of nng 1.5: when a pipe is closed
/// because one direction failed, while the other is between two reads (or writes) of one message, that
/// direction's operation is never completed (tcptran_pipe_recv_cb, fixed for reads in nng 1.6 by #1636).
/// nng's only reaper thread then waits for it for ever: this dialer never dials again, and no pipe of
/// the process is reaped any more. About one kill of a busy peer in a hundred does that.
/// So a link says when its lost pipe was not reaped, and whoever uses it opens another one.
class NngLink : public std::enable_shared_from_this<NngLink> {
 public:
  using OnChange = std::function<void(bool connected)>;

  /// Never waits for the peer. `on_change` is called on nng's threads, not after close() has returned.
  [[nodiscard]] static Result<std::shared_ptr<NngLink>> open(const std::string& url,
                                                             const NngClientOptions& options,
                                                             OnChange on_change);
  NngLink(const NngLink&) = delete;
  NngLink& operator=(const NngLink&) = delete;

  [[nodiscard]] nng_socket socket() const { return socket_; }
  [[nodiscard]] bool connected() const { return connected_; }
  /// Counts the connections; 0 before the first.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// A request has shown that connection `epoch` is lost; does nothing if another one stands by now.
  /// False if it was known.
  bool mark_lost(std::uint64_t epoch);

  /// An answer was received.
  void heard();
  /// Whether the connection has stood since `since` or longer and no complete answer has come on it since:
  /// nobody may be there any more, and nothing else would tell for a quarter of an hour. Answers that came
  /// too late for their requests count as heard. Costs a snapshot of nng's statistics, unless heard() tells.
  [[nodiscard]] bool silent_since(MonoTime since);

  /// This link is not used any more, though its connection may stand: closing that in the middle of a
  /// transfer could hang nng, so it is better left until it goes. No other connection is made in its place,
  /// and `on_change(false)` tells when it has gone.
  void retire();
  /// Whether there is no connection, not even one that is about to stand. Of a retired link: any more.
  [[nodiscard]] bool gone() const;

  /// Whether a pipe that was lost two seconds ago or longer is still not reaped: this link is dead. Once
  /// true for any link it is taken as true for every lost connection of the process.
  [[nodiscard]] bool dead() const;

  /// Closes the socket, as close_socket, and if that hangs looks whether the reaper is stuck; with a stuck
  /// reaper only the dialer and the pipes are closed. Contexts and aios on it must be closed before. Call once.
  void close();

 private:
  explicit NngLink(OnChange on_change) : on_change_(std::move(on_change)) {}
  void lose_pipe();  // under mutex_
  [[nodiscard]] Result<> start(const std::string& url, const NngClientOptions& options);
  void pipe_changed(nng_pipe pipe, nng_pipe_ev event);

  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
  nng_dialer dialer_ = NNG_DIALER_INITIALIZER;
  std::atomic<bool> connected_{false};
  std::atomic<std::uint64_t> epoch_{0};

  std::mutex telling_;
  OnChange on_change_;  // under telling_
  mutable std::mutex mutex_;
  bool retired_ = false;           // all below: under mutex_
  std::uint32_t pipe_ = 0;         // the last one, while it stands or is about to; one dialer has one
  std::vector<std::uint32_t> lost_;  // the last few that have gone
  // Of the connection pipe_:
  MonoTime heard_at_;
  std::uint64_t answers_ = 0;
  std::uint64_t late_answers_ = 0;  // counted by nng alone, when it was last asked
};

}  // namespace tributary
