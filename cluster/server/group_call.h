#pragma once
// How a request reaches the shard that coordinates its group, and its answer the call's home.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "cluster/server/call.h"
#include "cluster/server/shard_groups.h"

namespace tributary {

/// Where the group's partition of __consumer_offsets lives; any, while there is none: it answers NOT_COORDINATOR.
/// On the call's home shard.
[[nodiscard]] ShardGroups& groups_of(const Call& call, std::string_view group_id);
/// All of them, one for each shard.
[[nodiscard]] const std::vector<std::unique_ptr<ShardGroups>>& all_groups(const Call& call);

/// Makes the request there, and runs `answer` with its result at home. From the call's home shard.
template <class R>
void ask_group(const CallPtr& call, std::string_view group_id, ShardGroups::Ask ask, std::function<void(R)> answer) {
  auto& groups = groups_of(*call, group_id);
  groups.shard().run_on([&groups, call, ask = std::move(ask), answer = std::move(answer)] {
    groups.ask(ask, [call, answer](GroupResult result) {
      call->home().run_on([call, answer, result = std::get<R>(std::move(result))]() mutable { answer(std::move(result)); });
    });
  });
}

/// Longer ids are nobody's: they are refused, and not kept as long as a connection lasts.
inline constexpr std::size_t kWatchedIdBytesMax = 1'024;

/// As ask_group, for a join or sync: should the connection end, the coordinator is told.
template <class R>
void ask_group_watched(const CallPtr& call, const std::string& group_id, const std::string& member_id,
                       ShardGroups::Ask ask, std::function<void(R)> answer) {
  if (group_id.size() > kWatchedIdBytesMax || member_id.size() > kWatchedIdBytesMax)
    return ask_group<R>(call, group_id, std::move(ask), std::move(answer));
  auto& groups = groups_of(*call, group_id);
  const auto asked = std::make_shared<ReplyToken>();  // the groups' shard only, which is asked before it is told
  call->watch_connection([&groups, group_id, member_id, asked] {
    groups.shard().run_on(
        [&groups, group_id, member_id, asked] { groups.connection_lost(group_id, member_id, *asked); });
  });
  ask_group<R>(
      call, group_id,
      [asked, ask = std::move(ask)](GroupCoordinator& coordinator, Moment now, ReplyToken token) {
        *asked = token;
        ask(coordinator, now, token);
      },
      std::move(answer));
}

/// Reads there, and runs `answer` with what was read at home.
template <class R>
void read_groups(const CallPtr& call, ShardGroups& groups, std::function<R(const GroupCoordinator&)> read,
                 std::function<void(R)> answer) {
  groups.shard().run_on([&groups, call, read = std::move(read), answer = std::move(answer)] {
    call->home().run_on([call, answer, result = read(groups.coordinator())]() mutable { answer(std::move(result)); });
  });
}

}  // namespace tributary
