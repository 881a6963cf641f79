#pragma once
// A coordinator whose log is slow, fails now and then, and is all that is left when the broker restarts.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/groups/coordinator.h"

namespace tributary {

/// Checks that every request is answered exactly once, or lost with the broker.
class SimulatedBroker {
 public:
  /// `lost`: the broker went away before it answered.
  struct Listener {
    std::function<void(ReplyToken, const GroupResult&)> answered;
    std::function<void(ReplyToken)> lost;
  };

  static constexpr auto kAppendTimeMax = std::chrono::seconds(3);

  SimulatedBroker(GroupOptions options, Random& random, Listener listener);

  [[nodiscard]] GroupCoordinator& coordinator() { return *coordinator_; }
  [[nodiscard]] Moment now() const { return now_; }
  [[nodiscard]] ReplyToken next_token();
  /// Carries out what the coordinator wants; after every call into it.
  void pump();

  [[nodiscard]] MonoTime next_event() const;
  /// To next_event() at the latest.
  void advance_to(MonoTime at);

  /// The connection on which that member's last join or sync came ends; the broker sees it after so long.
  void lose_connection(const std::string& member_id, ReplyToken last, Duration seen_after);

  /// kill -9, and a new coordinator that loads the log. Of the appends under way, the first so many are in it.
  void restart();
  /// The partitions move to another broker and come back.
  void move_away_and_back();
  /// Appends do not fail any more; with `quick_log` they take milliseconds.
  void calm_down(bool quick_log = false) {
    calm_ = true;
    quick_log_ = quick_log;
  }
  [[nodiscard]] bool calm() const { return calm_; }

  /// Counts the coordinators there have been.
  [[nodiscard]] int life() const { return life_; }
  /// Of group "g", as the log had it at the last loading; 0: not at all.
  [[nodiscard]] std::int32_t restored_generation() const { return restored_generation_; }
  [[nodiscard]] std::size_t unanswered() const { return open_.size(); }

 private:
  struct Flight {
    AppendTicket ticket;
    MonoTime ends_at{};
    ErrorCode error = ErrorCode::kNone;
    std::size_t log_end = 0;  // behind its records
  };
  void start(const GroupAppend& append);
  void finish(std::size_t position);
  void see_lost_connections();
  void lose_the_tail();
  void load();

  const GroupOptions options_;
  Random& random_;
  Listener listener_;
  Moment now_{MonoTime(std::chrono::hours(1)), 1'700'000'000'000};
  std::unique_ptr<GroupCoordinator> coordinator_;
  struct LogEntry {
    std::int32_t partition = 0;
    OffsetsRecord record;
  };
  std::vector<LogEntry> log_;
  std::size_t durable_end_ = 0;  // exclusive: below it nothing is lost
  std::vector<Flight> flights_;
  struct LostConnection {
    std::string member_id;
    ReplyToken last;
    MonoTime seen_at{};
  };
  std::vector<LostConnection> lost_connections_;
  std::set<ReplyToken> open_;
  std::uint64_t last_token_ = 0;
  std::int32_t restored_generation_ = 0;
  int life_ = 0;
  bool calm_ = false, quick_log_ = false;
};

}  // namespace tributary
