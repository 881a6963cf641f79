#include "cluster/client/group_session.h"

#include <algorithm>
#include <set>

#include "cluster/client/assignors.h"
#include "cluster/client/consumer_protocol.h"
#include "cluster/client/groups.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/leave_group.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/sync_group.h"

namespace tributary {
namespace {

constexpr Duration kLongestWait = std::chrono::minutes(1);
constexpr std::size_t kAnswerBytesMax = 32u << 20;
constexpr std::size_t kTroublesMax = 100;  // that nobody has taken

std::int32_t milliseconds(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(ms, 0, INT32_MAX));
}

bool same(const GroupSession::View& a, const GroupSession::View& b) {
  return a.phase == b.phase && a.assignment == b.assignment && a.generation == b.generation &&
         a.holding == b.holding && a.unreachable_since == b.unreachable_since;
}

}  // namespace

GroupSession::GroupSession(ClusterClient& client, GroupSessionOptions options)
    : client_(client), options_(std::move(options)), membership_(options_.membership), thread_([this] { run(); }) {}

GroupSession::~GroupSession() {
  post([this] { stopping_ = true; });
  thread_.join();
}

// ---- The consumer's side ---------------------------------------------------------------------------

GroupSession::View GroupSession::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

GroupSession::View GroupSession::wait_for_change(std::uint64_t change, MonoTime deadline) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::min<Duration>(deadline - now(), kLongestWait), [&] { return view_.change != change; });
  return view_;
}

std::vector<Error> GroupSession::take_troubles() {
  const std::lock_guard lock(mutex_);
  return std::exchange(troubles_, {});
}

void GroupSession::consent(std::uint64_t assignment) {
  post([this, assignment] { membership_.consent(assignment); });
}
void GroupSession::consumer_away() {
  post([this, since = now()] { membership_.consumer_away(since); });
}
void GroupSession::consumer_back() {
  post([this] { membership_.consumer_back(); });
}

void GroupSession::commit(Offsets offsets, std::uint64_t holding, Committed done) {
  post([this, offsets = std::move(offsets), holding, done = std::move(done)] {
    send_commit(offsets, holding, done);
  });
}

void GroupSession::leave(MonoTime deadline) {
  post([this] { membership_.leave(); });
  auto seen = view();
  while (seen.phase != Membership::Phase::kLeft && now() < deadline) seen = wait_for_change(seen.change, deadline);
}

// ---- The session's thread --------------------------------------------------------------------------

void GroupSession::run() {
  while (!stopping_) {
    while (const auto step = membership_.next(now())) perform(*step);
    check_topics();
    publish();
    const auto wake_at = std::min({membership_.wake_at(), check_topics_at_ > now() ? check_topics_at_ : MonoTime::max(),
                                   now() + kLongestWait});
    if (const auto event = events_->pop_until(wake_at)) (*event)();
  }
  coordinator_.reset();  // its outstanding answers come now, and are not read any more
}

void GroupSession::publish() {
  View fresh{membership_.phase(), membership_.assignment(), membership_.holding(), membership_.partitions(),
             membership_.kept(), membership_.generation(), membership_.member_id(), membership_.failure(),
             membership_.unreachable_since(), 0};
  auto trouble = membership_.take_trouble();
  const std::lock_guard lock(mutex_);
  if (trouble && troubles_.size() < kTroublesMax) troubles_.push_back(*std::move(trouble));
  if (same(fresh, view_)) return;
  fresh.change = view_.change + 1;
  view_ = std::move(fresh);
  changed_.notify_all();
}

void GroupSession::perform(const Step& step) {
  switch (step.kind) {
    case Step::Kind::kFindCoordinator: return find(step);
    case Step::Kind::kJoin: return join(step);
    case Step::Kind::kAssign: return assign(step);
    case Step::Kind::kSync: return sync(step);
    case Step::Kind::kHeartbeat: return heartbeat(step);
    case Step::Kind::kLeave: return send_leave(step);
  }
}

/// The connection is the session's own: on Kafka TCP answers come in the order of their requests, and a heartbeat must
/// not wait for a fetch.
void GroupSession::find(const Step& step) {
  const auto patience = std::min<Duration>(client_.options().request_timeout, std::chrono::seconds(3));
  const auto found = find_coordinator(client_, options_.group, deadline_in(patience));
  if (!found) return membership_.failed_to_ask(now(), step.id, found.error());
  auto opened = BrokerConnection::open((*found)->endpoint(), client_.options().client_id, kAnswerBytesMax);
  if (!opened) return membership_.failed_to_ask(now(), step.id, opened.error());
  coordinator_ = *std::move(opened);
  membership_.coordinator_found(step.id);
}

/// `handler(response)` on the session's thread; a failure is told to the membership.
template <class Request, class Handler>
void GroupSession::ask(const Step& step, const Request& request, Duration patience, Handler handler) {
  const auto deadline = deadline_in(client_.options().request_timeout);
  const auto version = coordinator_->negotiate(Request::api, Request::valid, deadline);
  if (!version) return membership_.failed_to_ask(now(), step.id, version.error());
  const auto answered = [this, step, version = *version, handler](const Result<SharedBytes>& frame) {
    if (!frame) return membership_.failed_to_ask(now(), step.id, frame.error());
    const auto answer = coordinator_->decode<typename Request::Response>(*frame, version);
    if (!answer) return membership_.failed_to_ask(now(), step.id, answer.error());
    handler(answer->response);
  };
  const auto sent =
      coordinator_->send(request, *version, patience, [events = events_, answered](Result<SharedBytes> frame) {
        events->push([answered, frame = std::move(frame)] { answered(frame); });
      });
  if (!sent) membership_.failed_to_ask(now(), step.id, sent.error());
}

void GroupSession::join(const Step& step) {
  const Subscription subscription{options_.topics, membership_.held(), membership_.held_generation()};
  std::vector<Bytes> metadata;  // the request points into it
  for (const auto& assignor : options_.assignors) metadata.push_back(encode(subscription, assignor));
  JoinGroupRequest request;
  request.group_id = options_.group;
  request.session_timeout_ms = milliseconds(options_.membership.session_timeout);
  request.rebalance_timeout_ms = milliseconds(options_.membership.absence_max);
  request.member_id = membership_.member_id();
  request.group_instance_id = options_.instance_id;
  request.protocol_type = kConsumerProtocol;
  for (std::size_t i = 0; i < metadata.size(); ++i) request.protocols.push_back({options_.assignors[i], metadata[i]});
  // The others may take that long until they join too.
  const auto patience = options_.membership.absence_max + client_.options().request_timeout;
  ask(step, request, patience, [this, step](const JoinGroupResponse& response) {
    Membership::Joined joined{response.error_code, response.member_id, response.generation_id,
                              response.protocol_name.value_or(""), response.leader, {}, response.skip_assignment};
    for (const auto& member : response.members)
      joined.members[member.member_id] = {to_bytes(member.metadata), member.group_instance_id};
    membership_.joined(now(), step.id, std::move(joined));
  });
}

void GroupSession::assign(const Step& step) {
  std::vector<SubscribedMember> members;
  std::set<std::string> topics;
  for (const auto& [member, told] : membership_.members()) {
    auto subscription = decode_subscription(told.metadata);
    if (!subscription)
      return membership_.fail_with({Errc::kCorrupt, fmt::format("group {}, member {}: {}", options_.group, member,
                                                                subscription.error().message)});
    topics.insert(subscription->topics.begin(), subscription->topics.end());
    members.push_back({member, std::move(subscription->topics), told.instance_id, std::move(subscription->owned),
                       subscription->generation});
  }
  if (!is_assignor(membership_.assignor()))
    return membership_.fail_with({Errc::kUnsupported, fmt::format("group {}: its assignor is \"{}\"", options_.group,
                                                                  membership_.assignor())});
  for (const auto& topic : topics) client_.forget(topic);
  auto counts = count_partitions({topics.begin(), topics.end()});
  if (!counts) return membership_.failed_to_assign(now(), step.id, counts.error());
  shared_out_ = *std::move(counts);
  check_topics_at_ = now() + options_.topics_check_interval;
  std::map<std::string, Bytes> assignments;
  if (membership_.skip_assignment()) return membership_.assigned(step.id, {});
  for (const auto& [member, partitions] : assign_partitions(membership_.assignor(), members, shared_out_))
    assignments[member] = encode_assignment(partitions);
  membership_.assigned(step.id, std::move(assignments));
}

Result<std::map<std::string, std::int32_t>> GroupSession::count_partitions(const std::vector<std::string>& topics) {
  const auto deadline = deadline_in(client_.options().request_timeout);
  std::map<std::string, std::int32_t> counts;
  for (const auto& topic : topics) {
    const auto info = client_.topic(topic, deadline);
    if (info) counts[topic] = static_cast<std::int32_t>(info->partitions.size());
    else if (info.error().code == Errc::kNotFound) counts[topic] = 0;  // it may come yet
    else return tl::unexpected<Error>(info.error());
  }
  return counts;
}

/// The leader looks whether there is something else to share out.
void GroupSession::check_topics() {
  if (membership_.phase() != Membership::Phase::kStable || !membership_.leader() || now() < check_topics_at_) return;
  check_topics_at_ = now() + options_.topics_check_interval;
  std::vector<std::string> topics;
  for (const auto& [topic, count] : shared_out_) {
    client_.forget(topic);
    topics.push_back(topic);
  }
  const auto counts = count_partitions(topics);
  if (counts && *counts != shared_out_) membership_.rejoin();
}

void GroupSession::sync(const Step& step) {
  SyncGroupRequest request;
  request.group_id = options_.group;
  request.generation_id = membership_.generation();
  request.member_id = membership_.member_id();
  request.group_instance_id = options_.instance_id;
  request.protocol_type = kConsumerProtocol;
  request.protocol_name = membership_.assignor();
  for (const auto& [member, assignment] : membership_.assignments())
    request.assignments.push_back({member, assignment});
  const auto patience = options_.membership.absence_max + client_.options().request_timeout;
  ask(step, request, patience, [this, step](const SyncGroupResponse& response) {
    auto partitions = decode_assignment(response.assignment);
    if (!partitions && response.error_code == ErrorCode::kNone) return membership_.fail_with(partitions.error());
    if (!partitions) partitions.emplace();
    membership_.synced(now(), step.id, response.error_code, *std::move(partitions));
  });
}

void GroupSession::heartbeat(const Step& step) {
  HeartbeatRequest request;
  request.group_id = options_.group;
  request.generation_id = membership_.generation();
  request.member_id = membership_.member_id();
  request.group_instance_id = options_.instance_id;
  const auto patience = std::min(client_.options().request_timeout, options_.membership.session_timeout / 2);
  ask(step, request, patience, [this, step](const HeartbeatResponse& response) {
    membership_.heartbeat_answered(now(), step.id, response.error_code);
  });
}

void GroupSession::send_leave(const Step& step) {
  LeaveGroupRequest request;
  request.group_id = options_.group;
  request.members.push_back({membership_.leaving_member(), std::nullopt, "the consumer has left"});
  // Whatever the answer: the member is gone, or never was.
  ask(step, request, client_.options().request_timeout,
      [this, step](const LeaveGroupResponse&) { membership_.left(step.id); });
}

// ---- Commits ---------------------------------------------------------------------------------------

namespace {

OffsetCommitRequest commit_request(const GroupSession::Offsets& offsets) {
  OffsetCommitRequest request;
  for (const auto& [partition, offset] : offsets) {
    if (request.topics.empty() || request.topics.back().name != partition.topic)
      request.topics.emplace_back().name = partition.topic;
    auto& asked = request.topics.back().partitions.emplace_back();
    asked.index = partition.partition;
    asked.committed_offset = offset;
  }
  return request;
}

/// The first error, and the partition that it is of.
std::pair<ErrorCode, TopicPartition> first_error(const OffsetCommitResponse& response) {
  for (const auto& topic : response.topics)
    for (const auto& partition : topic.partitions)
      if (partition.error_code != ErrorCode::kNone) return {partition.error_code, {topic.name, partition.index}};
  return {ErrorCode::kNone, {}};
}

Result<> commit_result(const std::string& group, const OffsetCommitResponse& response) {
  const auto [error, partition] = first_error(response);
  const auto what = fmt::format("commit of group {} for {}", group, partition);
  switch (error) {
    case ErrorCode::kNone: return {};
    case ErrorCode::kUnknownMemberId:
    case ErrorCode::kIllegalGeneration:
    case ErrorCode::kFencedInstanceId:
    case ErrorCode::kRebalanceInProgress: return fail(Errc::kFenced, fmt::format("{}: {}", what, error));
    default: return fail_code(what, error);
  }
}

}  // namespace

void GroupSession::send_commit(const Offsets& offsets, std::uint64_t holding, Committed done) {
  const auto refuse = [&](Errc code, std::string_view why) {
    done(fail(code, fmt::format("commit of group {}: {}", options_.group, why)));
  };
  if (holding == 0 || holding != membership_.holding())
    return refuse(Errc::kFenced, "its partitions were given to others");
  // Whether the coordinator would take it depends on how far it is, and on how far it is when this arrives.
  if (membership_.phase() == Membership::Phase::kJoining) return refuse(Errc::kUnavailable, "the group rebalances");
  if (!coordinator_ || membership_.unreachable_since())
    return refuse(Errc::kUnavailable, "its coordinator is not known at present");
  auto request = commit_request(offsets);
  request.group_id = options_.group;
  const auto generation = membership_.generation();
  request.generation_id = generation;
  request.member_id = membership_.member_id();
  request.group_instance_id = options_.instance_id;
  const auto timeout = client_.options().request_timeout;
  const auto version =
      coordinator_->negotiate(OffsetCommitRequest::api, OffsetCommitRequest::valid, deadline_in(timeout));
  if (!version) return done(tl::unexpected<Error>(version.error()));
  const auto answered = [this, generation, holding, done, version = *version](const Result<SharedBytes>& frame) {
    if (!frame) return done(tl::unexpected<Error>(frame.error()));
    if (!coordinator_) return done(fail(Errc::kUnavailable, "the coordinator has changed"));
    const auto answer = coordinator_->decode<OffsetCommitResponse>(*frame, version);
    if (!answer) return done(tl::unexpected<Error>(answer.error()));
    commit_answered(answer->response, generation, holding, done);
  };
  const auto sent =
      coordinator_->send(request, *version, timeout, [events = events_, answered](Result<SharedBytes> frame) {
        events->push([answered, frame = std::move(frame)] { answered(frame); });
      });
  if (!sent) done(sent);
}

void GroupSession::commit_answered(const OffsetCommitResponse& response, GenerationId generation, std::uint64_t holding,
                                   const Committed& done) {
  const auto error = first_error(response).first;
  membership_.committed(now(), generation, error);
  // Cooperative: a rebalance that has begun meanwhile takes nothing that is held.
  const bool rebalanced = error == ErrorCode::kIllegalGeneration || error == ErrorCode::kRebalanceInProgress;
  if (rebalanced && options_.membership.cooperative && membership_.holding() == holding)
    return done(fail(Errc::kUnavailable, fmt::format("commit of group {}: the group rebalances", options_.group)));
  done(commit_result(options_.group, response));
}

}  // namespace tributary
