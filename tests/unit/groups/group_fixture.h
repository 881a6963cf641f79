#pragma once
// A coordinator with a clock, a log that can be held up, and the group "g" to ask about.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cluster/groups/coordinator.h"

namespace tributary {

using namespace std::chrono_literals;

inline const TopicPartition kReadings0{"readings", PartitionIndex(0)};
inline const TopicPartition kReadings1{"readings", PartitionIndex(1)};

// What a failed expectation shows.
inline void PrintTo(ErrorCode error, std::ostream* out) { *out << name_of(error); }
inline void PrintTo(GroupState state, std::ostream* out) { *out << name_of(state); }

/// What a consumer says to the leader: its topics (ConsumerProtocolSubscription v0).
[[nodiscard]] Bytes subscription_to(const std::vector<std::string>& topics);
[[nodiscard]] inline Bytes bytes_of(std::string_view text) { return to_bytes(as_bytes(text)); }

class GroupTest : public testing::Test {
 protected:
  GroupTest() { restart(); }
  void TearDown() override { EXPECT_TRUE(spurious_.empty()) << "answered twice or without being asked"; }

  /// A new coordinator that has loaded what the log has. Requests that wait stay without an answer.
  void restart();
  /// Without loading anything.
  void restart_unloaded();
  void load(std::int32_t partition);

  // ---- Requests. All of them go to group "g" unless they say something else.

  /// A consumer's join: session 10 s, rebalance 60 s, protocols "range" and "roundrobin".
  [[nodiscard]] static GroupJoin consumer(const std::string& member_id = "",
                                          const std::vector<std::string>& topics = {"readings"});
  [[nodiscard]] static GroupJoin static_consumer(const std::string& instance_id, const std::string& member_id = "");
  ReplyToken join(GroupJoin request);
  ReplyToken sync(const std::string& member_id, std::int32_t generation, std::map<std::string, Bytes> assignments = {},
                  std::optional<std::string> instance_id = {});
  ReplyToken sync(GroupSync request);
  ErrorCode heartbeat(const std::string& member_id, std::int32_t generation, std::optional<std::string> instance_id = {});
  GroupLeaveResult leave(std::vector<GroupLeave::Member> members);
  /// On which this join or sync came, with that member id in it.
  void lose_connection(const std::string& member_id, ReplyToken last);
  ReplyToken commit(GroupCommit request);
  /// Of one offset in readings-0, by nobody in particular.
  ReplyToken commit(std::int64_t offset, const std::string& member_id = "", std::int32_t generation = -1);
  ReplyToken delete_offsets(std::vector<TopicPartition> partitions);
  ReplyToken delete_group(const std::string& group_id = "g");

  // ---- Answers

  [[nodiscard]] bool answered(ReplyToken token) const { return answers_.contains(token); }
  template <class R>
  [[nodiscard]] R answer(ReplyToken token) const {
    const auto found = answers_.find(token);
    if (found == answers_.end()) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    return std::get<R>(found->second);
  }
  [[nodiscard]] GroupJoinResult joined(ReplyToken token) const { return answer<GroupJoinResult>(token); }
  [[nodiscard]] GroupSyncResult synced(ReplyToken token) const { return answer<GroupSyncResult>(token); }
  /// Of the only partition.
  [[nodiscard]] ErrorCode committed(ReplyToken token) const;

  [[nodiscard]] std::int64_t fetched(const TopicPartition& partition = kReadings0) const;
  [[nodiscard]] GroupState state() const { return coordinator_->describe("g").state; }
  [[nodiscard]] std::size_t member_count() const { return coordinator_->describe("g").members.size(); }

  // ---- The log

  void hold_appends() { holding_ = true; }
  /// All that are held, in order; and from now on at once.
  void release_appends(ErrorCode error = ErrorCode::kNone);
  /// The held one at this position.
  void complete(std::size_t position, ErrorCode error = ErrorCode::kNone);
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  /// The next appends fail.
  void fail_appends(ErrorCode error) { append_error_ = error; }

  // ---- Time

  /// Ticks at the times that the coordinator asks for, until `by` has passed.
  void run(Duration by);

  /// A stable group of so many members in generation 1, the leader first; each has its own id assigned.
  std::vector<std::string> stable_group(std::size_t size);
  /// Completes a rebalance whose joins are these: the leader assigns, all sync. Gives the generation.
  std::int32_t sync_all(const std::vector<ReplyToken>& joins);

  [[nodiscard]] ReplyToken next_token() { return ReplyToken(++last_token_); }
  void pump();

  GroupOptions options_;
  SeededRandom random_{1};
  Moment now_{MonoTime(std::chrono::hours(1)), 1'700'000'000'000};
  std::unique_ptr<GroupCoordinator> coordinator_;
  std::map<std::int32_t, std::vector<OffsetsRecord>> log_;  // by partition
  std::vector<GroupAppend> appends_;                        // all there have been

 private:
  std::uint64_t last_token_ = 0;
  std::map<ReplyToken, GroupResult> answers_;
  std::vector<ReplyToken> spurious_;
  bool holding_ = false;
  std::deque<GroupAppend> held_;
  ErrorCode append_error_ = ErrorCode::kNone;
};

}  // namespace tributary
