#include "tests/unit/groups/group_fixture.h"

#include "common/bytes/writer.h"

namespace tributary {

Bytes subscription_to(const std::vector<std::string>& topics) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(0);
  writer.i32(static_cast<std::int32_t>(topics.size()));
  for (const auto& topic : topics) {
    writer.i16(static_cast<std::int16_t>(topic.size()));
    writer.bytes(as_bytes(topic));
  }
  writer.i32(-1);  // no user data
  return bytes;
}

void GroupTest::restart_unloaded() {
  coordinator_ = std::make_unique<GroupCoordinator>(options_, random_, now_);
  held_.clear();
}

void GroupTest::restart() {
  restart_unloaded();
  for (std::int32_t i = 0; i < options_.offsets_partitions; ++i) load(i);
}

void GroupTest::load(std::int32_t partition) {
  coordinator_->start_loading(partition);
  for (const auto& record : log_[partition]) {
    const auto loaded = coordinator_->load_record(
        partition, record.key, record.value ? std::optional<ByteView>(*record.value) : std::nullopt);
    EXPECT_TRUE(loaded) << loaded.error().message;
  }
  coordinator_->finish_loading(now_, partition);
  pump();
}

GroupJoin GroupTest::consumer(const std::string& member_id, const std::vector<std::string>& topics) {
  return {.group_id = "g",
          .member_id = member_id,
          .client_id = "client",
          .client_host = "/10.0.0.1",
          .session_timeout_ms = 10'000,
          .rebalance_timeout_ms = 60'000,
          .protocol_type = "consumer",
          .protocols = {{"range", subscription_to(topics)}, {"roundrobin", subscription_to(topics)}}};
}

GroupJoin GroupTest::static_consumer(const std::string& instance_id, const std::string& member_id) {
  auto request = consumer(member_id);
  request.group_instance_id = instance_id;
  return request;
}

ReplyToken GroupTest::join(GroupJoin request) {
  const auto token = next_token();
  coordinator_->join(now_, token, std::move(request));
  pump();
  return token;
}

ReplyToken GroupTest::sync(const std::string& member_id, std::int32_t generation,
                           std::map<std::string, Bytes> assignments, std::optional<std::string> instance_id) {
  return sync(GroupSync{.group_id = "g",
                        .member_id = member_id,
                        .generation_id = generation,
                        .group_instance_id = std::move(instance_id),
                        .assignments = std::move(assignments)});
}

ReplyToken GroupTest::sync(GroupSync request) {
  const auto token = next_token();
  coordinator_->sync(now_, token, std::move(request));
  pump();
  return token;
}

ErrorCode GroupTest::heartbeat(const std::string& member_id, std::int32_t generation,
                               std::optional<std::string> instance_id) {
  const auto token = next_token();
  coordinator_->heartbeat(now_, token, {"g", member_id, generation, std::move(instance_id)});
  pump();
  return answer<GroupHeartbeatResult>(token).error;
}

GroupLeaveResult GroupTest::leave(std::vector<GroupLeave::Member> members) {
  const auto token = next_token();
  coordinator_->leave(now_, token, {"g", std::move(members)});
  pump();
  return answer<GroupLeaveResult>(token);
}

void GroupTest::lose_connection(const std::string& member_id, ReplyToken last) {
  coordinator_->connection_lost(now_, "g", member_id, last);
  pump();
}

ReplyToken GroupTest::commit(GroupCommit request) {
  const auto token = next_token();
  coordinator_->commit(now_, token, request);
  pump();
  return token;
}

ReplyToken GroupTest::commit(std::int64_t offset, const std::string& member_id, std::int32_t generation) {
  return commit({.group_id = "g",
                 .member_id = member_id,
                 .generation_id = generation,
                 .partitions = {{kReadings0, Offset(offset), LeaderEpoch(3), "note"}}});
}

ReplyToken GroupTest::delete_offsets(std::vector<TopicPartition> partitions) {
  const auto token = next_token();
  coordinator_->delete_offsets(token, {"g", std::move(partitions)});
  pump();
  return token;
}

ReplyToken GroupTest::delete_group(const std::string& group_id) {
  const auto token = next_token();
  coordinator_->delete_group(token, group_id);
  pump();
  return token;
}

ErrorCode GroupTest::committed(ReplyToken token) const {
  const auto result = answer<GroupCommitResult>(token);
  EXPECT_EQ(result.partitions.size(), 1u);
  return result.partitions.empty() ? ErrorCode::kUnknownServerError : result.partitions[0].error;
}

std::int64_t GroupTest::fetched(const TopicPartition& partition) const {
  const auto result = coordinator_->fetch({.group_id = "g", .partitions = std::vector{partition}});
  EXPECT_EQ(result.error, ErrorCode::kNone);
  return result.partitions.at(0).offset.value();
}

void GroupTest::pump() {
  for (auto actions = coordinator_->take_actions(); !actions.empty(); actions = coordinator_->take_actions()) {
    for (auto& action : actions) {
      if (auto* reply = std::get_if<GroupReply>(&action)) {
        if (reply->token.value() > last_token_ || !answers_.emplace(reply->token, std::move(reply->result)).second)
          spurious_.push_back(reply->token);
        continue;
      }
      appends_.push_back(std::get<GroupAppend>(action));
      held_.push_back(std::get<GroupAppend>(action));
    }
    while (!holding_ && !held_.empty()) {
      const auto append = held_.front();
      held_.pop_front();
      auto& log = log_[append.partition];
      if (append_error_ == ErrorCode::kNone) log.insert(log.end(), append.records.begin(), append.records.end());
      coordinator_->appended(now_, append.ticket, append_error_);
    }
  }
}

void GroupTest::complete(std::size_t position, ErrorCode error) {
  ASSERT_LT(position, held_.size());
  const auto append = held_[position];
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(position));
  auto& log = log_[append.partition];
  if (error == ErrorCode::kNone) log.insert(log.end(), append.records.begin(), append.records.end());
  coordinator_->appended(now_, append.ticket, error);
  pump();
}

void GroupTest::release_appends(ErrorCode error) {
  while (!held_.empty()) complete(0, error);
  holding_ = false;
  pump();
}

void GroupTest::run(Duration by) {
  const auto end = now_.mono + by;
  const auto go_to = [&](MonoTime at) {
    const auto step = at - now_.mono;
    now_.mono = at;
    now_.wall_ms += std::chrono::duration_cast<std::chrono::milliseconds>(step).count();
    coordinator_->tick(now_);
    pump();
  };
  for (int steps = 0; coordinator_->next_deadline() <= end; ++steps) {
    ASSERT_LT(steps, 10'000) << "spinning";
    go_to(std::max(now_.mono, coordinator_->next_deadline()));
    ASSERT_GT(coordinator_->next_deadline(), now_.mono) << "asks for a time that has passed";
  }
  go_to(end);
}

std::vector<std::string> GroupTest::stable_group(std::size_t size) {
  std::vector<ReplyToken> joins;
  for (std::size_t i = 0; i < size; ++i) joins.push_back(join(consumer()));
  for (int i = 0; i < 30 && !answered(joins[0]); ++i) run(1s);
  EXPECT_EQ(sync_all(joins), 1);
  EXPECT_EQ(state(), GroupState::kStable);
  std::vector<std::string> ids{joined(joins[0]).leader};
  for (const auto token : joins)
    if (joined(token).member_id != ids[0]) ids.push_back(joined(token).member_id);
  return ids;
}

std::int32_t GroupTest::sync_all(const std::vector<ReplyToken>& joins) {
  std::map<std::string, Bytes> assignments;
  for (const auto token : joins) {
    EXPECT_EQ(joined(token).error, ErrorCode::kNone);
    assignments[joined(token).member_id] = bytes_of(joined(token).member_id);
  }
  std::vector<ReplyToken> syncs;
  for (const auto token : joins) {
    const auto result = joined(token);
    const bool leads = result.leader == result.member_id;
    syncs.push_back(sync(result.member_id, result.generation_id, leads ? assignments : std::map<std::string, Bytes>{}));
  }
  for (std::size_t i = 0; i < syncs.size(); ++i)
    EXPECT_EQ(synced(syncs[i]).assignment, bytes_of(joined(joins[i]).member_id));
  return joined(joins[0]).generation_id;
}

}  // namespace tributary
