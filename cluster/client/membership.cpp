#include "cluster/client/membership.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"

namespace tributary {

namespace {

/// For those that the user can do something about.
std::string_view explained(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFencedInstanceId: return ": another member has come with the same instance id";
    case ErrorCode::kInconsistentGroupProtocol: return ": this member has no assignor that all the others have";
    case ErrorCode::kInvalidSessionTimeout: return ": the broker allows no such session timeout";
    case ErrorCode::kGroupMaxSizeReached: return ": the broker allows the group no more members";
    default: return "";
  }
}

Error trouble_of(std::string_view what, ErrorCode code) {
  const auto final = code == ErrorCode::kFencedInstanceId ? Errc::kFenced : Errc::kInvalidArgument;
  return {retriable(code) ? Errc::kUnavailable : final, fmt::format("{}: {}{}", what, code, explained(code))};
}

}  // namespace

// ---- Steps -----------------------------------------------------------------------------------------

Membership::Step Membership::ask(Step::Kind kind) {
  const auto id = ++last_id_;
  (kind == Step::Kind::kHeartbeat ? heartbeat_ : asked_) = id;
  return {kind, id};
}

std::optional<Membership::Step> Membership::next(MonoTime now) {
  if (state_ == State::kFailed || state_ == State::kLeft) return std::nullopt;
  if (session_is_over(now))
    lose_partitions(true, {Errc::kTimeout, "the coordinator was not reached within the session timeout"});
  if (absent_too_long(now)) {
    if (!options_.is_static) leaving_member_ = member_id_;
    lose_partitions(false, {Errc::kTimeout, "the consumer did not ask for more in time: its partitions go to others"});
  }
  if (!asked_ && now >= retry_at_)
    if (const auto kind = wanted()) return ask(*kind);
  if (state_ == State::kStable && coordinator_known_ && !heartbeat_ && now >= heartbeat_at_) {
    heartbeat_sent_at_ = now;
    return ask(Step::Kind::kHeartbeat);
  }
  return std::nullopt;
}

std::optional<Membership::Step::Kind> Membership::wanted() const {
  if (state_ == State::kFailed || state_ == State::kLeft) return std::nullopt;
  const bool leaving = !leaving_member_.empty();
  if (!coordinator_known_ && (leaving || state_ != State::kOutside)) return Step::Kind::kFindCoordinator;
  if (leaving) return Step::Kind::kLeave;
  if (state_ == State::kJoining) return Step::Kind::kJoin;
  if (state_ == State::kAssigning) return Step::Kind::kAssign;
  if (state_ == State::kSyncing) return Step::Kind::kSync;
  return std::nullopt;
}

MonoTime Membership::wake_at() const {
  auto at = MonoTime::max();
  if (!asked_ && wanted()) at = std::min(at, retry_at_);
  if (state_ == State::kStable && coordinator_known_ && !heartbeat_) at = std::min(at, heartbeat_at_);
  if (holding_ == 0) return at;
  if (away_since_) at = std::min(at, *away_since_ + options_.absence_max);
  return waits_for_group() ? at : std::min(at, heard_at_ + options_.session_timeout);
}

bool Membership::absent_too_long(MonoTime now) const {
  return holding_ != 0 && away_since_ && now - *away_since_ >= options_.absence_max;
}

bool Membership::is_answer(std::uint64_t id) {
  if (asked_ != id) return false;
  asked_.reset();
  return true;
}

// ---- What goes wrong -------------------------------------------------------------------------------

void Membership::retry_later(MonoTime now, Error trouble) {
  retry_at_ = now + options_.backoff(failures_++);
  trouble_ = std::move(trouble);
}

void Membership::lose_coordinator(MonoTime now, Error trouble) {
  coordinator_known_ = false;
  asked_.reset();
  heartbeat_.reset();
  if (!unreachable_since_) unreachable_since_ = now;
  // What was to be synced may be another generation's by the time there is a coordinator.
  if (state_ == State::kAssigning || state_ == State::kSyncing) join_again(true);
  retry_later(now, std::move(trouble));
}

void Membership::join_again(bool with_member_id) {
  if (!with_member_id) member_id_.clear();
  generation_ = kNoGenerationId;
  leader_ = rebalancing_ = skip_assignment_ = false;
  if (!options_.cooperative) drop_partitions();
  members_.clear();
  assignments_.clear();
  asked_.reset();
  heartbeat_.reset();
  state_ = State::kJoining;
}

void Membership::drop_partitions() {
  partitions_.clear();
  held_.clear();
  held_generation_ = kNoGenerationId;
  holding_ = 0;
}

/// Others may have them from now on, so there is nothing more to commit; the consumer still thinks that they are its.
void Membership::lose_partitions(bool with_member_id, Error trouble) {
  join_again(with_member_id);
  drop_partitions();
  state_ = State::kOutside;
  trouble_ = std::move(trouble);
}

bool Membership::handle(MonoTime now, std::string_view what, ErrorCode error) {
  const bool held = holding_ != 0;
  switch (error) {
    case ErrorCode::kNotCoordinator:
    case ErrorCode::kCoordinatorNotAvailable:
      lose_coordinator(now, trouble_of(what, error));
      return true;
    case ErrorCode::kUnknownMemberId:
    case ErrorCode::kIllegalGeneration: {
      const bool with_member_id = error == ErrorCode::kIllegalGeneration;
      if (held) {
        lose_partitions(with_member_id, trouble_of(what, error));
      } else {
        join_again(with_member_id);
        retry_later(now, trouble_of(what, error));
      }
      return true;
    }
    case ErrorCode::kRebalanceInProgress:
      if (state_ == State::kStable) {
        rejoin();
      } else {
        join_again(true);
        retry_later(now, trouble_of(what, error));
      }
      return true;
    default:
      if (!retriable(error)) return false;
      retry_later(now, trouble_of(what, error));
      return true;
  }
}

void Membership::fail_with(Error error) {
  failure_ = std::move(error);
  state_ = State::kFailed;
  asked_.reset();
  heartbeat_.reset();
  drop_partitions();
}

void Membership::failed_to_ask(MonoTime now, std::uint64_t id, Error error) {
  const bool current = asked_ == id || heartbeat_ == id;
  if (!current) return;
  if (waits_for_group() && asked_ == id) heard_at_ = now;  // its session began again when it waited no more
  const bool passes = error.code == Errc::kUnavailable || error.code == Errc::kTimeout || error.code == Errc::kNoSpace ||
                      error.code == Errc::kCorrupt;
  if (state_ == State::kLeaving) state_ = State::kLeft;  // the session's timeout does the rest
  else if (passes) lose_coordinator(now, std::move(error));
  else fail_with(std::move(error));
}

void Membership::failed_to_assign(MonoTime now, std::uint64_t id, Error error) {
  if (!is_answer(id)) return;
  join_again(true);
  retry_later(now, std::move(error));
}

std::optional<Error> Membership::take_trouble() { return std::exchange(trouble_, std::nullopt); }

// ---- Answers ---------------------------------------------------------------------------------------

void Membership::coordinator_found(std::uint64_t id) {
  if (!is_answer(id)) return;
  coordinator_known_ = true;
}

void Membership::joined(MonoTime now, std::uint64_t id, Joined answer) {
  if (!is_answer(id)) return;
  if (answer.error == ErrorCode::kMemberIdRequired) {  // KIP-394
    member_id_ = std::move(answer.member_id);
    return heard();
  }
  if (answer.error != ErrorCode::kNone) {
    if (!handle(now, "joining the group", answer.error)) fail_with(trouble_of("joining the group", answer.error));
    return;
  }
  heard();
  member_id_ = std::move(answer.member_id);
  generation_ = answer.generation;
  assignor_ = std::move(answer.assignor);
  leader_ = answer.leader == member_id_;
  members_ = std::move(answer.members);
  skip_assignment_ = answer.skip_assignment;
  heard_at_ = now;  // not when this was asked: it may have waited long for the others
  state_ = leader_ ? State::kAssigning : State::kSyncing;
}

void Membership::assigned(std::uint64_t id, std::map<std::string, Bytes> assignments) {
  if (!is_answer(id)) return;
  assignments_ = std::move(assignments);
  state_ = State::kSyncing;
}

void Membership::synced(MonoTime now, std::uint64_t id, ErrorCode error, std::vector<TopicPartition> partitions) {
  if (!is_answer(id)) return;
  if (error != ErrorCode::kNone) {
    if (!handle(now, "syncing with the group", error)) fail_with(trouble_of("syncing with the group", error));
    return;
  }
  heard();
  state_ = State::kStable;
  partitions_ = std::move(partitions);
  std::vector<TopicPartition> held;
  std::ranges::set_union(held_, partitions_, std::back_inserter(held));
  held_ = std::move(held);
  held_generation_ = generation_;
  if (holding_ == 0) holding_ = ++last_holding_;
  ++assignment_;
  members_.clear();
  assignments_.clear();
  heard_at_ = now;  // not when this was asked: it may have waited long for the leader
  heartbeat_at_ = now + options_.heartbeat_interval;
}

void Membership::heartbeat_answered(MonoTime now, std::uint64_t id, ErrorCode error) {
  if (heartbeat_ != id) return;
  heartbeat_.reset();
  heartbeat_at_ = now + options_.heartbeat_interval;
  if (error == ErrorCode::kNone || error == ErrorCode::kRebalanceInProgress) {
    heard();
    heard_at_ = heartbeat_sent_at_;
  }
  if (error == ErrorCode::kNone) return;
  if (!handle(now, "heartbeat", error)) fail_with(trouble_of("heartbeat", error));
}

void Membership::committed(MonoTime now, GenerationId generation, ErrorCode error) {
  if (error == ErrorCode::kFencedInstanceId && holding_ != 0) return fail_with(trouble_of("commit", error));
  if (state_ != State::kStable || generation != generation_ || error == ErrorCode::kNone) return;
  (void)handle(now, "commit", error);  // others are the commit's own
}

void Membership::left(std::uint64_t id) {
  if (!is_answer(id)) return;
  leaving_member_.clear();
  if (state_ == State::kLeaving) state_ = State::kLeft;
}

// ---- Wishes ----------------------------------------------------------------------------------------

void Membership::consent(std::uint64_t assignment) {
  const bool waits = state_ == State::kOutside || (state_ == State::kStable && revokes() && assignment == assignment_);
  if (!waits) return;
  held_ = partitions_;
  // A leave on its way (the consumer was away) is another member's, and need not be waited for.
  const auto leaving = asked_;
  join_again(true);
  if (!leaving_member_.empty()) asked_ = leaving;
}

void Membership::rejoin() {
  if (state_ != State::kStable) return;
  if (options_.cooperative) join_again(true);
  else rebalancing_ = true;
}

void Membership::leave() {
  if (state_ == State::kLeft || state_ == State::kLeaving) return;
  const bool was_member = !member_id_.empty() && state_ != State::kFailed;
  if (was_member && !options_.is_static) leaving_member_ = member_id_;
  asked_.reset();
  heartbeat_.reset();
  retry_at_ = MonoTime{};
  state_ = leaving_member_.empty() || !coordinator_known_ ? State::kLeft : State::kLeaving;
}

std::vector<TopicPartition> Membership::kept() const {
  return options_.cooperative ? partitions_ : std::vector<TopicPartition>{};
}

Membership::Phase Membership::phase() const {
  switch (state_) {
    case State::kOutside: return Phase::kOutside;
    case State::kStable: return revokes() ? Phase::kRevoking : Phase::kStable;
    case State::kFailed: return Phase::kFailed;
    case State::kLeaving: return Phase::kLeaving;
    case State::kLeft: return Phase::kLeft;
    default: return Phase::kJoining;
  }
}

}  // namespace tributary
