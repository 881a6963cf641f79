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
/// Eager: before a member joins again it gives up all its partitions. So a rebalance waits for the consumer's consent(),
/// which it gives when it has committed what it has read and forgotten its partitions.
///
/// Cooperative (KIP-429): a member joins again at once, while the consumer goes on, and tells which partitions it holds.
/// If the group takes some of them away, the consumer gives those up, and its consent() makes the member join once more.
/// Until then it claims them, in whatever rebalances come: nobody else is given what the consumer may still read.
class Membership {
 public:
  struct Options {
    Duration session_timeout = std::chrono::seconds(45);
    Duration heartbeat_interval = std::chrono::seconds(3);
    Duration absence_max = std::chrono::minutes(5);  // of the consumer; then others get its partitions
    std::function<Duration(int attempt)> backoff;     // how long to wait before another attempt
    bool cooperative = false;
    /// Static (KIP-345): it never tells the coordinator that it leaves, so that its place is kept for the session timeout.
    bool is_static = false;
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

  struct Member {
    Bytes metadata;
    std::optional<std::string> instance_id;
  };
  struct Joined {
    ErrorCode error = ErrorCode::kNone;
    std::string member_id;
    GenerationId generation{kNoGenerationId};
    std::string assignor;
    std::string leader;
    std::map<std::string, Member> members;  // for the leader only
    bool skip_assignment = false;           // KIP-814: the assignment that there is stays
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

  /// It has given up the partitions that it was to give up, as of this assignment(): the group may be joined. Without
  /// effect if another assignment has come meanwhile.
  void consent(std::uint64_t assignment);
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
    kJoining,   // eager: holds none; cooperative: as before, but commits have to wait
    kStable,    // holds partitions(), maybe none
    kRevoking,  // what is not in kept() is to be given up, and may be committed still; waits for consent
    kFailed,    // failure(); for good; a static member whose place another has taken (FENCED_INSTANCE_ID): kFenced
    kLeaving,
    kLeft,
  };
  [[nodiscard]] Phase phase() const;
  /// What the group has given this member, in rising order. Cooperative: also while it joins again.
  [[nodiscard]] const std::vector<TopicPartition>& partitions() const { return partitions_; }
  /// What is not to be given up in kRevoking.
  [[nodiscard]] std::vector<TopicPartition> kept() const;
  /// Another number for each time that partitions were got.
  [[nodiscard]] std::uint64_t assignment() const { return assignment_; }
  /// The same number as long as no partition was lost: what was got under it may be read on and committed, except for
  /// what was given up. 0: it holds none.
  [[nodiscard]] std::uint64_t holding() const { return holding_; }
  /// What it tells the leader that it holds, and since which generation.
  [[nodiscard]] const std::vector<TopicPartition>& held() const { return held_; }
  [[nodiscard]] GenerationId held_generation() const { return held_generation_; }
  [[nodiscard]] const std::string& member_id() const { return member_id_; }
  [[nodiscard]] GenerationId generation() const { return generation_; }
  [[nodiscard]] bool leader() const { return leader_; }
  [[nodiscard]] const std::string& assignor() const { return assignor_; }
  /// For the leader, between kJoin and kAssign.
  [[nodiscard]] const std::map<std::string, Member>& members() const { return members_; }
  [[nodiscard]] bool skip_assignment() const { return skip_assignment_; }
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
  /// Keeps what it holds if the protocol is cooperative.
  void join_again(bool with_member_id);
  void drop_partitions();
  void lose_partitions(bool with_member_id, Error trouble);
  void heard() { failures_ = 0; unreachable_since_.reset(); }
  /// True if the error is one of the membership or the coordinator, and has been dealt with.
  bool handle(MonoTime now, std::string_view what, ErrorCode error);
  [[nodiscard]] bool absent_too_long(MonoTime now) const;
  /// In a rebalance the coordinator keeps who waits for the others, however long they take.
  [[nodiscard]] bool waits_for_group() const {
    return asked_ && coordinator_known_ && (state_ == State::kJoining || state_ == State::kSyncing);
  }
  [[nodiscard]] bool session_is_over(MonoTime now) const {
    return holding_ != 0 && !waits_for_group() && now - heard_at_ >= options_.session_timeout;
  }
  /// Stable, and waits for the consumer to give something up.
  [[nodiscard]] bool revokes() const { return rebalancing_ || held_ != partitions_; }

  const Options options_;
  State state_ = State::kOutside;
  bool coordinator_known_ = false;
  bool rebalancing_ = false;  // eager: stable, and the group is to be joined again
  std::string member_id_;
  GenerationId generation_{kNoGenerationId};
  std::string assignor_;
  bool leader_ = false;
  bool skip_assignment_ = false;
  std::map<std::string, Member> members_;
  std::map<std::string, Bytes> assignments_;
  std::vector<TopicPartition> partitions_;
  std::vector<TopicPartition> held_;  // partitions_, and what the consumer has not given up yet; rising
  GenerationId held_generation_{kNoGenerationId};
  std::uint64_t assignment_ = 0;
  std::uint64_t holding_ = 0, last_holding_ = 0;
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
