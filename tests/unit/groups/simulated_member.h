#pragma once
// A consumer as its client library drives it: joins, syncs, sends heartbeats, commits, and obeys the errors.

#include <optional>
#include <string>

#include "tests/unit/groups/simulated_broker.h"

namespace tributary {

/// Member of group "g". Between kill() and start() it is not there; what is answered meanwhile it does not hear.
class SimulatedMember {
 public:
  struct Timeouts {
    std::int32_t session_ms = 0;
    std::int32_t rebalance_ms = 0;
    std::int32_t heartbeat_ms = session_ms / 3;
    Duration work_off_max = std::chrono::seconds(4);  // what it has read, before it joins again
    Duration retry_max = std::chrono::milliseconds(500);
  };

  SimulatedMember(SimulatedBroker& broker, Random& random, std::optional<std::string> instance_id, Timeouts timeouts);

  [[nodiscard]] bool running() const { return phase_ != Phase::kDown; }
  [[nodiscard]] bool assigned() const { return phase_ == Phase::kAssigned; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::int32_t generation() const { return generation_; }

  void start();
  /// The broker sees its connection end after so long; nothing: never.
  void kill(std::optional<Duration> seen_after);
  /// It lives on, with another connection, on which it asks again.
  void lose_connection(std::optional<Duration> seen_after);
  /// Says goodbye (LeaveGroup) and is gone.
  void leave();

  [[nodiscard]] MonoTime next_event() const;
  void act();

  /// Whether the answer was for it as it is now.
  bool owns(ReplyToken token) const { return token == asking_ || token == beating_; }
  void answered(ReplyToken token, const GroupResult& result);
  void lost(ReplyToken token);

 private:
  enum class Phase { kDown, kJoining, kSyncing, kAssigned };

  void stop();
  void end_connection(std::optional<Duration> seen_after);
  void join();
  void join_later(Duration within);
  void sync(const GroupJoinResult& joined);
  void heartbeat();
  void obey(ErrorCode error);

  SimulatedBroker& broker_;
  Random& random_;
  const std::optional<std::string> instance_id_;
  const Timeouts timeouts_;
  bool modern_ = true;  // knows of skipped assignments

  Phase phase_ = Phase::kDown;
  std::string id_;
  std::int32_t generation_ = -1;
  std::vector<std::string> topics_{"readings"};
  ReplyToken asking_{0};   // the join or sync under way
  ReplyToken last_{0};     // the last join or sync, and the id in it
  std::string last_id_;
  ReplyToken beating_{0};  // the heartbeat under way
  MonoTime join_at_ = MonoTime::max();
  MonoTime heartbeat_at_ = MonoTime::max();
};

}  // namespace tributary
