#include <algorithm>
#include <thread>

#include "cluster/client/consumer.h"
#include "common/protocol/messages/list_offsets.h"

namespace tributary {
namespace {

std::int64_t timestamp_of(const StartAt& start) {
  switch (start.kind) {
    case StartAt::Kind::kEarliest: return ListOffsetsRequest::kEarliest;
    case StartAt::Kind::kLatest: return ListOffsetsRequest::kLatest;
    case StartAt::Kind::kMaxTimestamp: return ListOffsetsRequest::kMaxTimestamp;
    default: return std::max<std::int64_t>(start.value, 0);
  }
}

constexpr Versions kWithMaxTimestamp{7, ListOffsetsRequest::valid.max};

/// What a response says of `wanted`, or the error that stands there.
Result<FoundOffset> offset_in(const ListOffsetsResponse& response, const TopicPartition& wanted) {
  for (const auto& topic : response.topics) {
    if (topic.name != wanted.topic) continue;
    for (const auto& partition : topic.partitions) {
      if (partition.index != wanted.partition) continue;
      if (partition.error_code != ErrorCode::kNone)
        return fail_code(fmt::format("offsets of {}", wanted), partition.error_code);
      return FoundOffset{partition.offset, partition.timestamp_ms};
    }
  }
  return fail(Errc::kCorrupt, fmt::format("offsets of {}: the answer does not speak of it", wanted));
}

Result<FoundOffset> ask_leader(ClusterClient& client, const TopicPartition& partition, const StartAt& start,
                               MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto leader, client.leader_of(partition, deadline));
  ListOffsetsRequest request;
  request.topics = {{partition.topic, {{.index = partition.partition, .timestamp_ms = timestamp_of(start)}}}};
  const auto limit = std::min(deadline, deadline_in(client.options().request_timeout));
  const auto versions = start.kind == StartAt::Kind::kMaxTimestamp ? kWithMaxTimestamp : ListOffsetsRequest::valid;
  ASSIGN_OR_RETURN(const auto answer, leader->call(request, limit, versions));
  return offset_in(answer.response, partition);
}

bool worth_retrying(const Error& error) {
  return error.code == Errc::kUnavailable || error.code == Errc::kTimeout;
}

bool is_of_a_time(const StartAt& start) {
  return start.kind == StartAt::Kind::kTime || start.kind == StartAt::Kind::kMaxTimestamp;
}

}  // namespace

Result<std::optional<FoundOffset>> find_offset(ClusterClient& client, const TopicPartition& partition,
                                               const StartAt& start, MonoTime deadline) {
  if (start.kind == StartAt::Kind::kOffset) return FoundOffset{Offset(start.value)};
  for (int attempt = 0;; ++attempt) {
    const auto found = ask_leader(client, partition, start, deadline);
    if (found && found->offset.value() >= 0) return *found;
    if (found && is_of_a_time(start)) return std::nullopt;
    if (found) return fail(Errc::kCorrupt, fmt::format("offsets of {}: the broker says {}", partition, found->offset));
    const auto wait = backoff(attempt);
    if (!worth_retrying(found.error()) || system_clock().mono_now() + wait >= deadline)
      return tl::unexpected<Error>(found.error());
    client.forget(partition.topic);
    std::this_thread::sleep_for(wait);
  }
}

Result<std::vector<Offset>> resolve_offsets(ClusterClient& client,
                                            const std::vector<std::pair<TopicPartition, StartAt>>& starts,
                                            MonoTime deadline) {
  std::vector<Offset> offsets;
  for (const auto& [partition, start] : starts) {
    if (start.kind == StartAt::Kind::kOffset && start.value < 0)
      return fail(Errc::kInvalidArgument, fmt::format("{}: offset {} is negative", partition, start.value));
    ASSIGN_OR_RETURN(auto found, find_offset(client, partition, start, deadline));
    if (!found) {  // no record is that new
      ASSIGN_OR_RETURN(found, find_offset(client, partition, StartAt::latest(), deadline));
    }
    offsets.push_back(found->offset);
  }
  return offsets;
}

}  // namespace tributary
