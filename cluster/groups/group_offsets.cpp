// How far a group has read: commits, fetches, deletion, expiry.

#include <algorithm>
#include <limits>

#include "cluster/groups/group.h"
#include "cluster/groups/subscription.h"
#include "cluster/groups/write_errors.h"
#include "common/base/topic_name.h"

namespace tributary {
namespace {

/// With the longest names, 0.65 MB of tombstones: less than a batch may have (1 MiB).
constexpr std::size_t kTombstonesPerAppend = 500;

WallMs later(WallMs time, std::int64_t by_ms) {
  WallMs sum = 0;
  return __builtin_add_overflow(time, by_ms, &sum) ? std::numeric_limits<WallMs>::max() : sum;
}

}  // namespace

void Group::commit(Moment now, ReplyToken token, const GroupCommit& request) {
  const auto refused = commit_error(request);
  CommitWrite commit{.token = token, .result = {}, .items = {}};
  std::vector<OffsetsRecord> records;
  std::size_t bytes = 0;
  for (const auto& asked : request.partitions) {
    auto error = refused;
    if (error == ErrorCode::kNone && asked.metadata.size() > options_.offset_metadata_bytes_max)
      error = ErrorCode::kOffsetMetadataTooLarge;
    if (error == ErrorCode::kNone && !validate_topic_name(asked.partition.topic))
      error = ErrorCode::kInvalidTopicException;
    commit.result.partitions.push_back({asked.partition, error});
    if (error != ErrorCode::kNone) continue;
    CommittedOffset offset{asked.offset, asked.leader_epoch, asked.metadata, now.wall_ms, {}};
    if (request.retention_ms) offset.expire_timestamp_ms = later(now.wall_ms, *request.retention_ms);
    records.push_back({encode(OffsetCommitKey{id_, asked.partition}), encode(offset)});
    bytes += records.back().key.size() + records.back().value->size();
    if (bytes > options_.append_bytes_max) return refuse_too_large(token, request);
    commit.items.push_back({commit.result.partitions.size() - 1, std::move(offset)});
  }
  if (refused == ErrorCode::kNone && state_ != GroupState::kEmpty) touch(now, *members_.find(request.member_id));
  if (records.empty()) return actions_.reply(token, std::move(commit.result));
  for (const auto& item : commit.items) offsets_.begin_commit(commit.result.partitions[item.position].partition);
  write(std::move(records), std::move(commit));
}

// All of it: a part would be durable that the client takes for failed.
void Group::refuse_too_large(ReplyToken token, const GroupCommit& request) {
  GroupCommitResult result;
  for (const auto& asked : request.partitions) {
    result.partitions.push_back({asked.partition, ErrorCode::kInvalidCommitOffsetSize});
  }
  actions_.reply(token, std::move(result));
}

ErrorCode Group::commit_error(const GroupCommit& request) {
  if (state_ == GroupState::kDead) return ErrorCode::kCoordinatorNotAvailable;
  // No member's: of a consumer that assigns itself, or an administrator's.
  if (request.generation_id < 0 && state_ == GroupState::kEmpty) return ErrorCode::kNone;
  const auto error = member_error(request.member_id, request.group_instance_id);
  if (error != ErrorCode::kNone) return error;
  if (request.generation_id != generation_) return ErrorCode::kIllegalGeneration;
  // While others join again it may still commit what it has read; once the next generation has begun it has to
  // sync first.
  return state_ == GroupState::kCompletingRebalance ? ErrorCode::kRebalanceInProgress : ErrorCode::kNone;
}

void Group::done(AppendTicket ticket, CommitWrite write, ErrorCode error) {
  for (const auto& item : write.items) {
    auto& result = write.result.partitions[item.position];
    offsets_.finish_commit(result.partition, ticket, item.offset, error == ErrorCode::kNone);
    result.error = commit_error_of(error);
  }
  actions_.reply(write.token, std::move(write.result));
}

GroupFetchResult Group::fetch(const GroupFetch& request) const {
  GroupFetchResult result;
  const auto partitions = request.partitions ? *request.partitions : offsets_.partitions();
  for (const auto& partition : partitions) {
    GroupFetchResult::Partition answer{.partition = partition};
    const auto* offset = offsets_.find(partition);
    if (request.require_stable && offsets_.unstable(partition)) {
      answer.error = ErrorCode::kUnstableOffsetCommit;
    } else if (offset != nullptr) {
      answer.offset = offset->offset;
      answer.leader_epoch = offset->leader_epoch;
      answer.metadata = offset->metadata;
    } else if (!request.partitions) {
      continue;
    }
    result.partitions.push_back(std::move(answer));
  }
  return result;
}

// ---- Deletion

bool Group::subscribed_to(const std::string& topic) const { return !topics_ || topics_->contains(topic); }

void Group::delete_offsets(ReplyToken token, const GroupOffsetDelete& request) {
  GroupOffsetDeleteResult result;
  const bool consumers = members_.protocol_type() == kConsumerProtocolType;
  if (state_ == GroupState::kDead) result.error = ErrorCode::kGroupIdNotFound;
  else if (state_ != GroupState::kEmpty && !consumers) result.error = ErrorCode::kNonEmptyGroup;
  if (result.error != ErrorCode::kNone) return actions_.reply(token, std::move(result));

  std::set<TopicPartition> chosen;
  for (const auto& partition : request.partitions) {
    const bool in_use = state_ != GroupState::kEmpty && subscribed_to(partition.topic);
    result.partitions.push_back({partition, in_use ? ErrorCode::kGroupSubscribedToTopic : ErrorCode::kNone});
    if (!in_use && offsets_.has(partition)) chosen.insert(partition);
  }
  auto removal = std::make_shared<Removal>();
  removal->token = token;
  removal->result = std::move(result);
  remove({chosen.begin(), chosen.end()}, std::move(removal));
}

void Group::delete_group(ReplyToken token) {
  if (state_ != GroupState::kEmpty) {
    const bool dead = state_ == GroupState::kDead;
    return actions_.reply(token, GroupDeleteResult{dead ? ErrorCode::kGroupIdNotFound : ErrorCode::kNonEmptyGroup});
  }
  auto removal = std::make_shared<Removal>();
  removal->token = token;
  removal->whole_group = true;
  remove(offsets_.partitions(), std::move(removal));
}

/// Writes the tombstones of these offsets, and of the group if it is to go, in as many appends as it takes. The
/// group's own comes last: until then what is left belongs to something.
void Group::remove(std::vector<TopicPartition> partitions, std::shared_ptr<Removal> removal) {
  std::vector<std::pair<std::vector<OffsetsRecord>, std::vector<TopicPartition>>> chunks;
  for (const auto& partition : partitions) {
    if (chunks.empty() || chunks.back().first.size() >= kTombstonesPerAppend) chunks.emplace_back();
    chunks.back().first.push_back({encode(OffsetCommitKey{id_, partition}), std::nullopt});
    chunks.back().second.push_back(partition);
    offsets_.begin_removal(partition);
  }
  if (removal->whole_group) {
    state_ = GroupState::kDead;  // nobody joins a group that goes
    if (in_log_) {
      if (chunks.empty()) chunks.emplace_back();
      chunks.back().first.push_back({encode(GroupMetadataKey{id_}), std::nullopt});
    }
  }
  removal->writes = chunks.size();
  for (auto& [records, chunk] : chunks) write(std::move(records), RemovalWrite{removal, std::move(chunk)});
  if (removal->writes == 0) finish(*removal);
}

void Group::done(AppendTicket ticket, RemovalWrite write, ErrorCode error) {
  auto& removal = *write.removal;
  for (const auto& partition : write.partitions)
    offsets_.finish_removal(partition, ticket, error == ErrorCode::kNone);
  if (error != ErrorCode::kNone) removal.error = deletion_error_of(error);
  if (--removal.writes == 0) finish(removal);
}

void Group::finish(const Removal& removal) {
  if (removal.whole_group) {
    if (removal.error == ErrorCode::kNone) removed_ = true;
    else state_ = GroupState::kEmpty;
  }
  if (!removal.token) return;
  if (std::holds_alternative<GroupDeleteResult>(removal.result))
    return actions_.reply(*removal.token, GroupDeleteResult{removal.error});
  auto result = std::get<GroupOffsetDeleteResult>(removal.result);
  for (auto& partition : result.partitions)
    if (partition.error == ErrorCode::kNone) partition.error = removal.error;
  actions_.reply(*removal.token, std::move(result));
}

void Group::collect_topics(std::set<std::string>& topics) const {
  offsets_.for_each([&](const TopicPartition& partition, const CommittedOffset&) { topics.insert(partition.topic); });
}

void Group::remove_topic(const std::string& topic) {
  auto partitions = offsets_.partitions_of(topic);
  for (const auto& partition : partitions) offsets_.topic_deleted(partition, actions_.next_ticket());
  // If the tombstones fail, expire_offsets() tries again.
  if (!partitions.empty() && state_ != GroupState::kDead) remove(std::move(partitions), std::make_shared<Removal>());
}

// ---- Expiry

/// KIP-211. An offset is unused since its group is empty; in a stable consumer group whose topics are known,
/// since its commit, if nobody subscribes to its topic; without members ever, since its commit. With those that are
/// left over from deleted topics.
std::vector<TopicPartition> Group::expired_offsets(Moment now) const {
  const bool members_ever = !members_.protocol_type().empty();
  const bool stable = state_ == GroupState::kStable && topics_.has_value();
  const bool in_use = members_ever && state_ != GroupState::kEmpty && !stable;
  return offsets_.idle([&](const TopicPartition& partition, const CommittedOffset& offset) {
    if (in_use || (stable && topics_->contains(partition.topic))) return false;
    if (offset.expire_timestamp_ms) return now.wall_ms >= *offset.expire_timestamp_ms;
    const bool since_empty = members_ever && !stable && state_since_ms_ != -1;
    const auto since_ms = since_empty ? state_since_ms_ : offset.commit_timestamp_ms;
    return since_ms <= now.wall_ms - options_.offsets_retention_ms;
  });
}

void Group::expire_offsets(Moment now) {
  if (state_ == GroupState::kDead) return;
  auto expired = expired_offsets(now);
  auto removal = std::make_shared<Removal>();
  removal->whole_group = state_ == GroupState::kEmpty && handed_out_.empty() && writes_.empty() &&
                         expired.size() == offsets_.partitions().size();
  if (removal->whole_group || !expired.empty()) remove(std::move(expired), std::move(removal));
}

void Group::drop_writes() {
  for (auto& [ticket, write] : writes_) {
    if (auto* commit = std::get_if<CommitWrite>(&write)) {
      for (const auto& item : commit->items)
        commit->result.partitions[item.position].error = ErrorCode::kNotCoordinator;
      actions_.reply(commit->token, std::move(commit->result));
    } else if (auto* removing = std::get_if<RemovalWrite>(&write)) {
      removing->removal->error = ErrorCode::kNotCoordinator;
      if (--removing->removal->writes == 0) finish(*removing->removal);
    }
  }
  writes_.clear();
}

}  // namespace tributary
