#include "cluster/client/group_consumer.h"

#include <algorithm>
#include <thread>

#include "cluster/client/assignors.h"
#include "cluster/client/completions.h"
#include "cluster/client/group_session.h"
#include "cluster/client/groups.h"
#include "common/base/check.h"

namespace tributary {
namespace {

constexpr Duration kNoticeRebalances = std::chrono::milliseconds(200);  // how soon, while records are waited for
constexpr Duration kCommitBeforeRejoin = std::chrono::seconds(5);
constexpr Duration kLeaveAtTheEnd = std::chrono::seconds(1);

using Phase = Membership::Phase;

GroupSessionOptions session_options(const GroupConsumerOptions& options) {
  GroupSessionOptions session;
  session.group = options.group;
  session.topics = options.topics;
  session.assignors = options.assignors;
  session.membership.session_timeout = options.session_timeout;
  session.membership.heartbeat_interval = options.heartbeat_interval;
  session.membership.absence_max = options.poll_interval_max;
  session.membership.cooperative = all_cooperative(options.assignors);
  session.membership.is_static = options.instance_id.has_value();
  session.instance_id = options.instance_id;
  session.membership.backoff = [](int attempt) { return backoff(attempt); };
  session.topics_check_interval = options.topics_check_interval;
  return session;
}

ConsumerOptions fetch_options(const GroupConsumerOptions& options) {
  auto fetch = options.fetch;
  fetch.on_out_of_range = options.start;
  return fetch;
}

/// A commit that is on its way.
struct Outstanding {
  std::map<TopicPartition, Offset> offsets;
  std::shared_ptr<Completions<Result<>>> done = std::make_shared<Completions<Result<>>>();
};

}  // namespace

struct GroupConsumer::Impl {
  ClusterClient& client;
  const GroupConsumerOptions options;
  const bool cooperative;
  Consumer consumer;
  GroupSession session;

  struct Position {
    Offset done{0};                  // all before it was given to the caller, who has asked for more since
    std::optional<Offset> committed;
  };
  std::map<TopicPartition, Position> assigned;
  GenerationId generation{kNoGenerationId};
  std::uint64_t assignment = 0;  // the session's number of it; 0: none is held
  std::uint64_t holding = 0;     // likewise
  std::optional<Outstanding> committing;  // at the interval
  MonoTime commit_at{};
  std::optional<MonoTime> starts_wanted_since;  // offsets to start from are looked for in vain
  bool closed = false;

  Impl(ClusterClient& client_in, GroupConsumerOptions options_in)
      : client(client_in), options(std::move(options_in)), cooperative(all_cooperative(options.assignors)),
        consumer(client, fetch_options(options)), session(client, session_options(options)) {}

  void report(const Error& error) const {
    if (options.fetch.on_trouble) options.fetch.on_trouble(error);
  }
  Result<> follow(const GroupSession::View& view, Duration patience);
  Result<> take(const GroupSession::View& view, Duration patience);
  void revoke(const std::vector<TopicPartition>& partitions, bool commits);
  Result<std::map<TopicPartition, Position>> starts(const std::vector<TopicPartition>& partitions, Duration patience);
  void give_up();
  Result<> check_reachable(const GroupSession::View& view) const;
  std::map<TopicPartition, Offset> uncommitted() const;
  void commit_at_interval(Phase phase);
  void note_committed(const std::map<TopicPartition, Offset>& offsets);
  Result<> commit_now(const std::map<TopicPartition, Offset>& offsets, MonoTime deadline);
};

// ---- Commits ---------------------------------------------------------------------------------------

std::map<TopicPartition, Offset> GroupConsumer::Impl::uncommitted() const {
  std::map<TopicPartition, Offset> offsets;
  for (const auto& [partition, position] : assigned)
    if (position.done != position.committed) offsets[partition] = position.done;
  return offsets;
}

void GroupConsumer::Impl::note_committed(const std::map<TopicPartition, Offset>& offsets) {
  for (const auto& [partition, offset] : offsets)
    if (const auto found = assigned.find(partition); found != assigned.end()) found->second.committed = offset;
}

/// Does not wait; what fails is tried again at the next interval.
void GroupConsumer::Impl::commit_at_interval(Phase phase) {
  if (options.commit_interval <= Duration::zero()) return;
  if (committing) {
    const auto result = committing->done->pop_until(now());
    if (!result) return;
    if (*result) note_committed(committing->offsets);
    else report(result->error());
    committing.reset();
  }
  if (now() < commit_at || phase == Phase::kJoining) return;
  commit_at = now() + options.commit_interval;
  auto offsets = uncommitted();
  if (offsets.empty()) return;
  committing.emplace(Outstanding{std::move(offsets)});
  session.commit({committing->offsets.begin(), committing->offsets.end()}, holding,
                 [done = committing->done](Result<> result) { done->push(std::move(result)); });
}

Result<> GroupConsumer::Impl::commit_now(const std::map<TopicPartition, Offset>& offsets, MonoTime deadline) {
  if (offsets.empty()) return {};
  // One that is on its way could arrive later than this one, with older offsets.
  if (committing && !committing->done->pop_until(deadline))
    return fail(Errc::kTimeout, fmt::format("commit of group {}: the one before it is not answered", options.group));
  committing.reset();
  for (int attempt = 0;; ++attempt) {
    const auto done = std::make_shared<Completions<Result<>>>();
    session.commit({offsets.begin(), offsets.end()}, holding,
                   [done](Result<> result) { done->push(std::move(result)); });
    auto result = done->pop_until(deadline);
    if (!result) return fail(Errc::kTimeout, fmt::format("commit of group {}: no answer", options.group));
    if (*result) {
      note_committed(offsets);
      return {};
    }
    const auto code = result->error().code;
    const auto wait = backoff(attempt);
    if ((code != Errc::kUnavailable && code != Errc::kTimeout) || now() + wait >= deadline) return *std::move(result);
    std::this_thread::sleep_for(wait);
  }
}

// ---- Partitions come and go ------------------------------------------------------------------------

void GroupConsumer::Impl::give_up() {
  assignment = holding = 0;
  generation = kNoGenerationId;
  committing.reset();
  starts_wanted_since.reset();
  for (const auto& [partition, position] : assigned) consumer.unassign(partition);
  assigned.clear();
}

/// They are the caller's no more. `commits`: they are this member's still, not lost.
void GroupConsumer::Impl::revoke(const std::vector<TopicPartition>& partitions, bool commits) {
  if (partitions.empty()) return;
  if (options.on_revoked) options.on_revoked(partitions);
  if (commits) {
    auto offsets = uncommitted();
    std::erase_if(offsets, [&](const auto& one) { return std::ranges::find(partitions, one.first) == partitions.end(); });
    const auto committed = commit_now(offsets, deadline_in(kCommitBeforeRejoin));
    if (!committed) report(committed.error());
  }
  for (const auto& partition : partitions) {
    consumer.unassign(partition);
    assigned.erase(partition);
  }
}

/// What the group wants of this member, as far as it concerns the consumer.
Result<> GroupConsumer::Impl::follow(const GroupSession::View& view, Duration patience) {
  const bool lost = holding != 0 && view.holding != holding;
  const bool revoking = view.phase == Phase::kRevoking;
  if (lost || revoking) {
    std::vector<TopicPartition> partitions;
    for (const auto& [partition, position] : assigned)
      if (lost || std::ranges::find(view.kept, partition) == view.kept.end()) partitions.push_back(partition);
    revoke(partitions, !lost);
    if (lost || !cooperative) give_up();
  }
  if (view.phase == Phase::kFailed) return tl::unexpected<Error>(*view.failure);
  if (view.phase == Phase::kOutside || revoking) session.consent(view.assignment);
  // Cooperative: what is given to it does not wait for others to have what it gave up.
  const bool gives = view.phase == Phase::kStable || (revoking && cooperative);
  if (gives && assignment != view.assignment) return take(view, patience);
  return check_reachable(view);
}

Result<> GroupConsumer::Impl::check_reachable(const GroupSession::View& view) const {
  const auto max = options.fetch.unavailable_max;
  if (!view.unreachable_since || max <= Duration::zero() || now() - *view.unreachable_since < max) return {};
  return fail(Errc::kUnavailable, fmt::format("group {}: no coordinator was reached for {} s", options.group,
                                              std::chrono::duration_cast<std::chrono::seconds>(max).count()));
}

Result<> GroupConsumer::Impl::take(const GroupSession::View& view, Duration patience) {
  std::vector<TopicPartition> added;
  for (const auto& partition : view.partitions)
    if (!assigned.contains(partition)) added.push_back(partition);
  auto found = starts(added, patience);
  if (!found) {
    const bool passes = found.error().code == Errc::kUnavailable || found.error().code == Errc::kTimeout;
    if (!passes) return tl::unexpected<Error>(found.error());
    if (!starts_wanted_since) starts_wanted_since = now();
    const auto max = options.fetch.unavailable_max;
    if (max > Duration::zero() && now() - *starts_wanted_since >= max) return tl::unexpected<Error>(found.error());
    report(found.error());
    return {};
  }
  starts_wanted_since.reset();
  for (const auto& [partition, position] : *found) consumer.assign(partition, position.done);
  assigned.merge(*found);
  if (holding == 0) commit_at = now() + options.commit_interval;
  assignment = view.assignment;
  holding = view.holding;
  generation = view.generation;
  if (options.on_assigned && !added.empty()) options.on_assigned(added);
  return {};
}

Result<std::map<TopicPartition, GroupConsumer::Impl::Position>> GroupConsumer::Impl::starts(
    const std::vector<TopicPartition>& partitions, Duration patience) {
  std::map<TopicPartition, Position> found;
  if (partitions.empty()) return found;
  ASSIGN_OR_RETURN(const auto committed, committed_offsets(client, options.group, deadline_in(patience)));
  for (const auto& partition : partitions) {
    const auto position = std::ranges::find(committed, partition, &CommittedPosition::partition);
    if (position != committed.end()) {
      found[partition] = {position->offset, position->offset};
      continue;
    }
    if (options.start == OnOutOfRange::kFail)
      return fail(Errc::kOutOfRange, fmt::format("group {} has committed no offset of {}", options.group, partition));
    const auto start = options.start == OnOutOfRange::kEarliest ? StartAt::earliest() : StartAt::latest();
    ASSIGN_OR_RETURN(const auto offsets, resolve_offsets(client, {{partition, start}}, deadline_in(patience)));
    found[partition] = {offsets.front(), std::nullopt};
  }
  return found;
}

// ---- GroupConsumer ---------------------------------------------------------------------------------

Result<std::unique_ptr<GroupConsumer>> GroupConsumer::create(ClusterClient& client, GroupConsumerOptions options) {
  if (options.group.empty()) return fail(Errc::kInvalidArgument, "a consumer group needs a name");
  if (options.topics.empty())
    return fail(Errc::kInvalidArgument, fmt::format("group {} has no topic to read", options.group));
  if (options.instance_id && options.instance_id->empty())
    return fail(Errc::kInvalidArgument, fmt::format("group {}: an instance id is not empty", options.group));
  if (options.assignors.empty())
    return fail(Errc::kInvalidArgument, fmt::format("group {} has no assignor", options.group));
  for (const auto& assignor : options.assignors)
    if (!is_assignor(assignor))
      return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is no assignor; there are {}, {} and {}", assignor, kRange,
                                                      kRoundRobin, kCooperativeSticky));
  return std::unique_ptr<GroupConsumer>(new GroupConsumer(std::make_unique<Impl>(client, std::move(options))));
}

GroupConsumer::GroupConsumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GroupConsumer::~GroupConsumer() { close(kLeaveAtTheEnd); }

Result<std::vector<ConsumedBatch>> GroupConsumer::poll(Duration timeout) {
  CHECK(!impl_->closed, "the consumer of group {} is open", impl_->options.group);
  const auto deadline = deadline_in(timeout);
  const auto patience = std::min<Duration>(impl_->client.options().request_timeout,
                                           std::max<Duration>(timeout, std::chrono::seconds(1)));
  struct Presence {
    GroupSession& session;
    explicit Presence(GroupSession& session_in) : session(session_in) { session.consumer_back(); }
    ~Presence() { session.consumer_away(); }
  } presence(impl_->session);
  // The caller asks for more: it is done with what the last call gave.
  for (auto& [partition, position] : impl_->assigned) position.done = impl_->consumer.position(partition);
  for (;;) {
    const auto view = impl_->session.view();
    for (const auto& trouble : impl_->session.take_troubles()) impl_->report(trouble);
    RETURN_IF_ERROR(impl_->follow(view, patience));
    if (impl_->assigned.empty()) {
      (void)impl_->session.wait_for_change(view.change, std::min(deadline, deadline_in(kNoticeRebalances)));
    } else {
      impl_->commit_at_interval(view.phase);
      const auto left = std::clamp<Duration>(deadline - now(), Duration::zero(), kNoticeRebalances);
      ASSIGN_OR_RETURN(auto batches, impl_->consumer.poll(left));
      if (!batches.empty()) return batches;
    }
    if (now() >= deadline) return std::vector<ConsumedBatch>{};
  }
}

Result<> GroupConsumer::commit(Duration timeout) {
  std::map<TopicPartition, Offset> offsets;
  for (auto& [partition, position] : impl_->assigned) {
    position.done = impl_->consumer.position(partition);
    if (position.done != position.committed) offsets[partition] = position.done;
  }
  return impl_->commit_now(offsets, deadline_in(timeout));
}

Result<> GroupConsumer::commit(const std::map<TopicPartition, Offset>& offsets, Duration timeout) {
  for (const auto& [partition, offset] : offsets)
    if (!impl_->assigned.contains(partition))
      return fail(Errc::kFenced,
                  fmt::format("commit of group {}: {} is not assigned", impl_->options.group, partition));
  for (const auto& [partition, offset] : offsets) impl_->assigned.at(partition).done = offset;
  return impl_->commit_now(offsets, deadline_in(timeout));
}

bool GroupConsumer::joined() const { return impl_->assignment != 0; }

std::vector<TopicPartition> GroupConsumer::assignment() const {
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, position] : impl_->assigned) partitions.push_back(partition);
  return partitions;
}

GenerationId GroupConsumer::generation() const { return impl_->generation; }

Offset GroupConsumer::position(const TopicPartition& partition) const { return impl_->consumer.position(partition); }

void GroupConsumer::close(Duration timeout) {
  if (std::exchange(impl_->closed, true)) return;
  const auto partitions = assignment();
  const auto deadline = deadline_in(timeout);
  if (impl_->options.on_revoked && !partitions.empty()) impl_->options.on_revoked(partitions);
  const auto committed = impl_->commit_now(impl_->uncommitted(), deadline);
  if (!committed) impl_->report(committed.error());
  impl_->give_up();
  impl_->session.leave(deadline);
}

}  // namespace tributary
