#pragma once
// One member's part in Kafka's group protocol: what to ask of the coordinator next, and what its answers mean.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/bytes/bytes.h"
#include "common/env/clock.h"
#include "common/protocol/error_code.h"

namespace tributary {

/// A state machine without thread, socket or clock. One thread at a time.
///
/// Whoever drives it asks next() for steps until there are none, carries them out, and tells the answers with the step's
/// id; the answer to a step that has been given up meanwhile is ignored. It calls next() again after each answer, and at
/// wake_at().
///
/// The protocol is the eager one: before a member joins again it gives up all its partitions. So a rebalance waits for
/// the consumer's consent(), which it gives when it has committed what it has read and forgotten its partitions.
class Membership {
 public:
  struct Options {
    Duration session_timeout = std::chrono::seconds(45);
    Duration heartbeat_interval = std::chrono::seconds(3);
    Duration absence_max = std::chrono::minutes(5);  // of the consumer; then others get its partitions
    std::function<Duration(int attempt)> backoff;     // how long to wait before another attempt
  };
  explicit Membership(Options options) : options_(std::move(options)) {}

  struct Step {
    enum class Kind { kFindCoordinator, kJoin, kAssign, kSync, kHeartbeat, kLeave };
    Kind kind;
    std::uint64_t id;
  };
  /// What is to be done now, each step once.
  [[nodiscard]] std::optional<Step> next(MonoTime now);
  /// When next() may have something without an answer coming before; never: MonoTime::max().
  [[nodiscard]] MonoTime wake_at() const;

  // ---- Answers

  struct Joined {
    ErrorCode error = ErrorCode::kNone;
    std::string member_id;
    GenerationId generation{kNoGenerationId};
    std::string assignor;
    std::string leader;
    std::map<std::string, Bytes> members;  // and their metadata; for the leader only
  };
  void coordinator_found(std::uint64_t id);
  void joined(MonoTime now, std::uint64_t id, Joined answer);
  /// The leader's work is done: what each member gets, encoded.
  void assigned(std::uint64_t id, std::map<std::string, Bytes> assignments);
  void synced(MonoTime now, std::uint64_t id, ErrorCode error, std::vector<TopicPartition> partitions);
  void heartbeat_answered(MonoTime now, std::uint64_t id, ErrorCode error);
  void left(std::uint64_t id);
  /// A step could not be carried out: the coordinator does not answer, or cannot be found. It is looked for anew.
  void failed_to_ask(MonoTime now, std::uint64_t id, Error error);
  /// The same of the leader's own work: the group is joined again.
  void failed_to_assign(MonoTime now, std::uint64_t id, Error error);
  /// What the coordinator said of a commit in `generation`.
  void committed(MonoTime now, GenerationId generation, ErrorCode error);

  // ---- The consumer's wishes

  /// It has given up its partitions: the group may be joined.
  void consent();
  /// Between these two it works on what it has got, and must come back within `absence_max`.
  void consumer_away(MonoTime now) { away_since_ = now; }
  void consumer_back() { away_since_.reset(); }
  /// The topics have other partitions than they had: the group shares them out anew.
  void rejoin();
  void leave();
  /// For good.
  void fail_with(Error error);

  // ---- Where it stands

  enum class Phase {
    kOutside,   // holds no partitions; waits for consent
    kJoining,
    kStable,    // holds partitions(), maybe none
    kRevoking,  // holds them still, and may commit; waits for consent
    kFailed,    // failure(); for good
    kLeaving,
    kLeft,
  };
  [[nodiscard]] Phase phase() const;
  [[nodiscard]] const std::vector<TopicPartition>& partitions() const { return partitions_; }
  /// Another number for each time that partitions were got.
  [[nodiscard]] std::uint64_t assignment() const { return assignment_; }
  [[nodiscard]] const std::string& member_id() const { return member_id_; }
  [[nodiscard]] GenerationId generation() const { return generation_; }
  [[nodiscard]] bool leader() const { return leader_; }
  [[nodiscard]] const std::string& assignor() const { return assignor_; }
  /// For the leader, between kJoin and kAssign.
  [[nodiscard]] const std::map<std::string, Bytes>& members() const { return members_; }
  /// For kSync; empty unless this is the leader.
  [[nodiscard]] const std::map<std::string, Bytes>& assignments() const { return assignments_; }
  /// For kLeave.
  [[nodiscard]] const std::string& leaving_member() const { return leaving_member_; }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
  /// Since when nothing was heard from a coordinator, if it is looked for.
  [[nodiscard]] std::optional<MonoTime> unreachable_since() const { return unreachable_since_; }
  /// What went wrong last and is tried again; taken once.
  [[nodiscard]] std::optional<Error> take_trouble();

 private:
  enum class State { kOutside, kJoining, kAssigning, kSyncing, kStable, kFailed, kLeaving, kLeft };

  [[nodiscard]] Step ask(Step::Kind kind);
  /// The step, other than a heartbeat, that brings the member further.
  [[nodiscard]] std::optional<Step::Kind> wanted() const;
  [[nodiscard]] bool is_answer(std::uint64_t id);
  void retry_later(MonoTime now, Error trouble);
  void lose_coordinator(MonoTime now, Error trouble);
  void join_again(bool with_member_id);
  void lose_partitions(bool with_member_id, Error trouble);
  void heard() { failures_ = 0; unreachable_since_.reset(); }
  /// True if the error is one of the membership or the coordinator, and has been dealt with.
  bool handle(MonoTime now, std::string_view what, ErrorCode error);
  [[nodiscard]] bool absent_too_long(MonoTime now) const;

  const Options options_;
  State state_ = State::kOutside;
  bool coordinator_known_ = false;
  bool rebalancing_ = false;  // stable, and the group is to be joined again
  std::string member_id_;
  GenerationId generation_{kNoGenerationId};
  std::string assignor_;
  bool leader_ = false;
  std::map<std::string, Bytes> members_;
  std::map<std::string, Bytes> assignments_;
  std::vector<TopicPartition> partitions_;
  std::uint64_t assignment_ = 0;
  std::string leaving_member_;  // to be told to the coordinator
  std::optional<Error> failure_;
  std::optional<Error> trouble_;

  std::uint64_t last_id_ = 0;
  std::optional<std::uint64_t> asked_;      // the outstanding step, other than a heartbeat
  std::optional<std::uint64_t> heartbeat_;  // likewise
  MonoTime heartbeat_sent_at_{};
  MonoTime heartbeat_at_{};
  MonoTime heard_at_{};  // the session is alive for its timeout from here
  MonoTime retry_at_{};
  int failures_ = 0;
  std::optional<MonoTime> away_since_;
  std::optional<MonoTime> unreachable_since_;
};

}  // namespace tributary
