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
  Consumer consumer;
  GroupSession session;

  struct Position {
    Offset done{0};                  // all before it was given to the caller, who has asked for more since
    std::optional<Offset> committed;
  };
  std::map<TopicPartition, Position> assigned;
  GenerationId generation{kNoGenerationId};
  std::uint64_t assignment = 0;  // the session's number of it; 0: none is held
  std::optional<Outstanding> committing;  // at the interval
  MonoTime commit_at{};
  std::optional<MonoTime> starts_wanted_since;  // offsets to start from are looked for in vain
  bool closed = false;

  Impl(ClusterClient& client_in, GroupConsumerOptions options_in)
      : client(client_in), options(std::move(options_in)), consumer(client, fetch_options(options)),
        session(client, session_options(options)) {}

  void report(const Error& error) const {
    if (options.fetch.on_trouble) options.fetch.on_trouble(error);
  }
  Result<> follow(const GroupSession::View& view, Duration patience);
  Result<> take(const GroupSession::View& view, Duration patience);
  Result<std::map<TopicPartition, Position>> starts(const std::vector<TopicPartition>& partitions, Duration patience);
  void give_up();
  Result<> check_reachable(const GroupSession::View& view) const;
  std::map<TopicPartition, Offset> uncommitted() const;
  void commit_at_interval();
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
void GroupConsumer::Impl::commit_at_interval() {
  if (options.commit_interval <= Duration::zero()) return;
  if (committing) {
    const auto result = committing->done->pop_until(now());
    if (!result) return;
    if (*result) note_committed(committing->offsets);
    else report(result->error());
    committing.reset();
  }
  if (now() < commit_at) return;
  commit_at = now() + options.commit_interval;
  auto offsets = uncommitted();
  if (offsets.empty()) return;
  committing.emplace(Outstanding{std::move(offsets)});
  session.commit({committing->offsets.begin(), committing->offsets.end()}, generation,
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
    session.commit({offsets.begin(), offsets.end()}, generation,
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
  assignment = 0;
  committing.reset();
  starts_wanted_since.reset();
  for (const auto& [partition, position] : assigned) consumer.unassign(partition);
  assigned.clear();
}

/// What the group wants of this member, as far as it concerns the consumer.
Result<> GroupConsumer::Impl::follow(const GroupSession::View& view, Duration patience) {
  const bool lost = assignment != 0 && (view.assignment != assignment || view.generation != generation);
  const bool revoked = view.phase == Phase::kRevoking;
  if (assignment != 0 && (lost || revoked || view.phase == Phase::kOutside || view.phase == Phase::kFailed)) {
    std::vector<TopicPartition> partitions;
    for (const auto& [partition, position] : assigned) partitions.push_back(partition);
    if (options.on_revoked && !partitions.empty()) options.on_revoked(partitions);
    if (revoked && !lost) {
      const auto committed = commit_now(uncommitted(), deadline_in(kCommitBeforeRejoin));
      if (!committed) report(committed.error());
    }
    give_up();
  }
  if (view.phase == Phase::kFailed) return tl::unexpected<Error>(*view.failure);
  if (view.phase == Phase::kOutside || revoked) session.consent();
  if (view.phase == Phase::kStable && assignment == 0) return take(view, patience);
  return check_reachable(view);
}

Result<> GroupConsumer::Impl::check_reachable(const GroupSession::View& view) const {
  const auto max = options.fetch.unavailable_max;
  if (!view.unreachable_since || max <= Duration::zero() || now() - *view.unreachable_since < max) return {};
  return fail(Errc::kUnavailable, fmt::format("group {}: no coordinator was reached for {} s", options.group,
                                              std::chrono::duration_cast<std::chrono::seconds>(max).count()));
}

Result<> GroupConsumer::Impl::take(const GroupSession::View& view, Duration patience) {
  auto found = starts(view.partitions, patience);
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
  assigned = *std::move(found);
  for (const auto& [partition, position] : assigned) consumer.assign(partition, position.done);
  assignment = view.assignment;
  generation = view.generation;
  commit_at = now() + options.commit_interval;
  if (options.on_assigned && !view.partitions.empty()) options.on_assigned(view.partitions);
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
  if (options.assignors.empty())
    return fail(Errc::kInvalidArgument, fmt::format("group {} has no assignor", options.group));
  for (const auto& assignor : options.assignors)
    if (!is_assignor(assignor))
      return fail(Errc::kInvalidArgument,
                  fmt::format("\"{}\" is no assignor; there are range and roundrobin", assignor));
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
      impl_->commit_at_interval();
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
