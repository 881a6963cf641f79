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
    default: return std::max<std::int64_t>(start.value, 0);
  }
}

struct Ask {
  TopicPartition partition;
  StartAt start;
};

/// What a response says of `wanted`, or the error that stands there.
Result<Offset> offset_in(const ListOffsetsResponse& response, const TopicPartition& wanted) {
  for (const auto& topic : response.topics) {
    if (topic.name != wanted.topic) continue;
    for (const auto& partition : topic.partitions) {
      if (partition.index != wanted.partition) continue;
      if (partition.error_code != ErrorCode::kNone)
        return fail_code(fmt::format("offsets of {}", wanted), partition.error_code);
      return partition.offset;
    }
  }
  return fail(Errc::kCorrupt, fmt::format("offsets of {}: the answer does not speak of it", wanted));
}

Result<Offset> ask_leader(ClusterClient& client, const Ask& ask, MonoTime deadline) {
  ASSIGN_OR_RETURN(const auto leader, client.leader_of(ask.partition, deadline));
  ListOffsetsRequest request;
  request.topics = {{ask.partition.topic, {{.index = ask.partition.partition, .timestamp_ms = timestamp_of(ask.start)}}}};
  const auto limit = std::min(deadline, deadline_in(client.options().request_timeout));
  ASSIGN_OR_RETURN(const auto answer, leader->call(request, limit));
  return offset_in(answer.response, ask.partition);
}

bool worth_retrying(const Error& error) {
  return error.code == Errc::kUnavailable || error.code == Errc::kTimeout;
}

Result<Offset> resolve_one(ClusterClient& client, Ask ask, MonoTime deadline) {
  for (int attempt = 0;; ++attempt) {
    auto offset = ask_leader(client, ask, deadline);
    if (offset) {
      if (offset->value() >= 0 || ask.start.kind != StartAt::Kind::kTime) return offset;
      ask.start = StartAt::latest();  // no record is that new
      continue;
    }
    const auto wait = backoff(attempt);
    if (!worth_retrying(offset.error()) || system_clock().mono_now() + wait >= deadline) return offset;
    client.forget(ask.partition.topic);
    std::this_thread::sleep_for(wait);
  }
}

}  // namespace

Result<std::vector<Offset>> resolve_offsets(ClusterClient& client,
                                            const std::vector<std::pair<TopicPartition, StartAt>>& starts,
                                            MonoTime deadline) {
  std::vector<Offset> offsets;
  for (const auto& [partition, start] : starts) {
    if (start.kind == StartAt::Kind::kOffset) {
      if (start.value < 0)
        return fail(Errc::kInvalidArgument, fmt::format("{}: offset {} is negative", partition, start.value));
      offsets.emplace_back(start.value);
      continue;
    }
    ASSIGN_OR_RETURN(const auto offset, resolve_one(client, {partition, start}, deadline));
    if (offset.value() < 0)
      return fail(Errc::kCorrupt, fmt::format("offsets of {}: the broker says {}", partition, offset));
    offsets.push_back(offset);
  }
  return offsets;
}

}  // namespace tributary
