#include "tests/unit/groups/simulated_member.h"

#include "tests/unit/groups/group_fixture.h"

namespace tributary {
namespace {

constexpr ReplyToken kNoToken{0};

/// "<generation> <member id>": so that a member sees for which generation it was assigned.
Bytes assignment_of(std::int32_t generation, const std::string& member_id) {
  return bytes_of(fmt::format("{} {}", generation, member_id));
}

}  // namespace

SimulatedMember::SimulatedMember(SimulatedBroker& broker, Random& random, std::optional<std::string> instance_id,
                                 Timeouts timeouts)
    : broker_(broker), random_(random), instance_id_(std::move(instance_id)), timeouts_(timeouts) {}

void SimulatedMember::start() {
  id_.clear();
  generation_ = -1;
  modern_ = random_.below(2) == 0;
  topics_ = random_.below(5) == 0 ? std::vector<std::string>{"readings", "alarms"} : std::vector<std::string>{"readings"};
  phase_ = Phase::kJoining;
  join_later(2 * timeouts_.retry_max);
}

void SimulatedMember::kill(std::optional<Duration> seen_after) {
  end_connection(seen_after);
  stop();
}

void SimulatedMember::lose_connection(std::optional<Duration> seen_after) {
  end_connection(seen_after);
  lost(asking_);
  beating_ = kNoToken;
}

void SimulatedMember::end_connection(std::optional<Duration> seen_after) {
  if (running() && seen_after && last_ != kNoToken) broker_.lose_connection(last_id_, last_, *seen_after);
  last_ = kNoToken;
}

void SimulatedMember::stop() {
  phase_ = Phase::kDown;
  asking_ = beating_ = kNoToken;
  join_at_ = heartbeat_at_ = MonoTime::max();
}

void SimulatedMember::leave() {
  const auto id = id_;
  stop();
  GroupLeave request{"g", {{id, instance_id_}}};
  broker_.coordinator().leave(broker_.now(), broker_.next_token(), request);
  broker_.pump();
  broker_.lose_connection(last_id_, last_, 0ms);
}

MonoTime SimulatedMember::next_event() const { return std::min(join_at_, heartbeat_at_); }

void SimulatedMember::act() {
  if (broker_.now().mono >= join_at_) join();
  if (broker_.now().mono >= heartbeat_at_) heartbeat();
}

void SimulatedMember::join_later(Duration within) {
  phase_ = Phase::kJoining;
  asking_ = kNoToken;
  heartbeat_at_ = MonoTime::max();
  join_at_ = broker_.now().mono + 1ms + Duration(random_.below(static_cast<std::uint64_t>(within.count())));
}

void SimulatedMember::join() {
  join_at_ = MonoTime::max();
  last_ = asking_ = broker_.next_token();
  last_id_ = id_;
  broker_.coordinator().join(broker_.now(), asking_,
                             {.group_id = "g",
                              .member_id = id_,
                              .group_instance_id = instance_id_,
                              .member_id_required = modern_,
                              .can_skip_assignment = modern_,
                              .client_id = "sim",
                              .client_host = "/sim",
                              .session_timeout_ms = timeouts_.session_ms,
                              .rebalance_timeout_ms = timeouts_.rebalance_ms,
                              .protocol_type = "consumer",
                              .protocols = {{"range", subscription_to(topics_)}}});
  broker_.pump();
}

void SimulatedMember::sync(const GroupJoinResult& joined) {
  phase_ = Phase::kSyncing;
  GroupSync request{.group_id = "g",
                    .member_id = id_,
                    .generation_id = generation_,
                    .group_instance_id = instance_id_,
                    .protocol_type = joined.protocol_type,
                    .protocol_name = joined.protocol_name};
  if (joined.leader == id_ && !joined.skip_assignment)
    for (const auto& member : joined.members)
      request.assignments[member.member_id] = assignment_of(generation_, member.member_id);
  heartbeat_at_ = broker_.now().mono + std::chrono::milliseconds(timeouts_.heartbeat_ms);
  if (!broker_.calm() && random_.below(100) < 2) return;  // it hangs, but its heartbeats go on
  last_ = asking_ = broker_.next_token();
  last_id_ = id_;
  broker_.coordinator().sync(broker_.now(), asking_, std::move(request));
  broker_.pump();
}

void SimulatedMember::heartbeat() {
  heartbeat_at_ = broker_.now().mono + std::chrono::milliseconds(timeouts_.heartbeat_ms);
  beating_ = broker_.next_token();
  broker_.coordinator().heartbeat(broker_.now(), beating_, {"g", id_, generation_, instance_id_});
  broker_.pump();
}

void SimulatedMember::answered(ReplyToken token, const GroupResult& result) {
  if (token == beating_) {
    beating_ = kNoToken;
    const auto error = std::get<GroupHeartbeatResult>(result).error;
    // What it has read is worked off first. While it waits for the sync that tells it the same.
    if (error == ErrorCode::kRebalanceInProgress && asking_ == kNoToken) join_later(timeouts_.work_off_max);
    else if (error != ErrorCode::kNone && error != ErrorCode::kRebalanceInProgress) obey(error);
    return;
  }
  asking_ = kNoToken;
  if (const auto* joined = std::get_if<GroupJoinResult>(&result)) {
    if (joined->error == ErrorCode::kNone || joined->error == ErrorCode::kMemberIdRequired) id_ = joined->member_id;
    if (joined->error != ErrorCode::kNone) return obey(joined->error);
    generation_ = joined->generation_id;
    return sync(*joined);
  }
  const auto& synced = std::get<GroupSyncResult>(result);
  if (synced.error != ErrorCode::kNone) return obey(synced.error);
  phase_ = Phase::kAssigned;
  const auto text = as_string_view(synced.assignment);
  EXPECT_EQ(text.substr(0, text.find(' ')), std::to_string(generation_)) << "an assignment of another generation";
}

void SimulatedMember::lost(ReplyToken token) {
  if (token == asking_ && token != kNoToken) join_later(2 * timeouts_.retry_max);
  if (token == beating_) beating_ = kNoToken;
}

void SimulatedMember::obey(ErrorCode error) {
  if (error == ErrorCode::kFencedInstanceId || error == ErrorCode::kGroupMaxSizeReached) return stop();
  if (error == ErrorCode::kUnknownMemberId || error == ErrorCode::kIllegalGeneration) {
    id_.clear();
    generation_ = -1;
  }
  join_later(error == ErrorCode::kMemberIdRequired ? Duration(10ms) : timeouts_.retry_max);
}

}  // namespace tributary
