#pragma once
// One accepted Kafka TCP connection. Internal to the folder.

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "common/transport/frame_assembler.h"
#include "common/transport/frame_budget.h"
#include "common/transport/frame_writer.h"
#include "common/transport/kafka_tcp_server.h"
#include "common/transport/server.h"

namespace tributary {

/// What the connections of one shard share. Shard's thread only.
struct KafkaShard {
  std::size_t index = 0;
  asio::io_context* context = nullptr;
  RequestHandler* handler = nullptr;
  const KafkaTcpServerOptions* options = nullptr;
  KafkaTcpServerStats* stats = nullptr;
  std::shared_ptr<FrameBudget> budget;  // of the server
  std::vector<std::uint8_t> scratch;  // read into by all its connections, between two suspensions only
};

/// A reader and a writer coroutine around a queue of slots, one per request in arrival order. Lives as
/// long as one of them, or a Responder, does; its sockets and timers only as long as the coroutines, so
/// that a late Responder is harmless. Shard's thread only.
class KafkaConnection final : public Responder::Target,
                              public std::enable_shared_from_this<KafkaConnection> {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  KafkaConnection(std::shared_ptr<KafkaShard> shard, asio::ip::tcp::socket socket, std::uint64_t id);

  /// Spawns the coroutines; `ended` is called once, when both have returned.
  void start(std::function<void()> ended);

  /// Closes the socket and forgets all requests; the coroutines end soon after.
  void shut();

  /// The same, for the server's stop(): nobody is told that it has ended.
  void stop();

  /// After stop(), for a shard whose thread has ended: the coroutines will never be resumed.
  void abandon() { io_.reset(); }

  /// Shut if nothing has moved for the idle timeout and nobody is working on a request of it, if the peer has
  /// stopped within a frame, or if it has closed its side and the answers do not come.
  void shut_if_idle(SteadyTime now);

  void respond(std::uint64_t ticket, Payload answer) override;
  void no_answer(std::uint64_t ticket) override;
  void close(std::uint64_t ticket) override;
  void watch_connection(std::function<void()> ended) override;

 private:
  enum class SlotState { kWorking, kAnswered, kUnanswered };
  struct Slot {
    SlotState state = SlotState::kWorking;
    std::size_t request_bytes = 0;
    Payload answer;
  };
  struct Io {
    asio::ip::tcp::socket socket;
    asio::steady_timer reader_wake, writer_wake;  // never expire; cancelled to wake
  };

  asio::awaitable<void> read_loop();
  asio::awaitable<void> write_loop();
  [[nodiscard]] bool read_once();
  [[nodiscard]] bool over_limits() const;
  [[nodiscard]] bool hold_budget();
  void hand_over();
  void queue_answers();
  Slot* slot_of(std::uint64_t ticket);
  void tell_watch();
  void coroutine_ended();
  void report(const Error& error);
  void touch() { last_progress_ = std::chrono::steady_clock::now(); }

  const std::shared_ptr<KafkaShard> shard_;
  const std::uint64_t id_;
  std::shared_ptr<const std::string> peer_;

  std::unique_ptr<Io> io_;  // null once both coroutines have ended
  int coroutines_ = 0;
  std::function<void()> ended_;
  bool shut_ = false;
  bool stopped_ = false;
  bool peer_finished_ = false;  // it closed its sending side; what it asked is still answered
  SteadyTime last_progress_;
  std::function<void()> watch_;  // told when the peer has finished, or the connection is shut
  std::optional<SteadyTime> receiving_since_;  // waiting for the peer's bytes

  FrameAssembler assembler_;
  FrameBudgetShare budget_;     // of assembler_'s frame
  std::deque<SharedBytes> pending_;  // arrived, not handed over: at most what one read brings

  std::deque<Slot> slots_;  // tickets [first_ticket_, first_ticket_ + slots_.size())
  std::uint64_t first_ticket_ = 0;
  std::size_t working_ = 0;
  std::size_t request_bytes_in_flight_ = 0;  // of slots being worked on
  std::size_t answer_bytes_ = 0;             // of answered slots, not yet in writer_
  FrameWriter writer_;
};

}  // namespace tributary
