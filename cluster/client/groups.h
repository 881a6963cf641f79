#pragma once
// Consumer groups, seen from outside: list, describe, delete; the offsets that they have committed.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/client/cluster_client.h"

namespace tributary {

struct GroupSummary {
  std::string id;
  std::string protocol_type;  // "consumer"; empty: only offsets were committed
  std::string state;          // "Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead"
};

struct GroupMemberInfo {
  std::string member_id;
  std::optional<std::string> instance_id;  // KIP-345
  std::string client_id;
  std::string host;  // as the broker writes it: "/127.0.0.1"
  std::vector<TopicPartition> assigned;  // in rising order; only while the group is stable
};

struct GroupInfo {
  GroupSummary summary;
  std::string assignor;  // "range"; only while the group is stable
  std::vector<GroupMemberInfo> members;  // by client id, then member id
};

struct CommittedPosition {
  TopicPartition partition;
  Offset offset{0};  // of the next record to read
  std::string metadata;
};

/// Each call blocks until `deadline` at most. It finds the group's coordinator first and tries again, with that too,
/// while the coordinator moves, loads or cannot be reached; then kUnavailable or kTimeout. A request whose answer was
/// lost is sent again, so it may be carried out twice.
/// kInvalidArgument with Kafka's name for what the broker refuses.

/// By id, of all brokers; with `states` only groups in one of them (empty: all).
[[nodiscard]] Result<std::vector<GroupSummary>> list_groups(ClusterClient& client,
                                                            const std::vector<std::string>& states,
                                                            MonoTime deadline);
/// kNotFound.
[[nodiscard]] Result<GroupInfo> describe_group(ClusterClient& client, const std::string& group, MonoTime deadline);
/// The group and its offsets. kNotFound; kLocked while it has members.
[[nodiscard]] Result<> delete_group(ClusterClient& client, const std::string& group, MonoTime deadline);

/// All that the group has committed, in rising order; none for a group that there is not.
[[nodiscard]] Result<std::vector<CommittedPosition>> committed_offsets(ClusterClient& client,
                                                                       const std::string& group,
                                                                       MonoTime deadline);
/// Sets them from outside of the group, which need not exist. kLocked while it has members; kNotFound names a partition
/// that there is not. The broker answers when they are durable; of several partitions some may be set when this fails.
[[nodiscard]] Result<> commit_offsets(ClusterClient& client, const std::string& group,
                                      const std::vector<std::pair<TopicPartition, Offset>>& offsets,
                                      MonoTime deadline);
/// Forgets them, as if nothing had been committed. kNotFound (group, partition); kLocked while members subscribe to the
/// topic. Of several partitions some may be forgotten when this fails.
[[nodiscard]] Result<> delete_offsets(ClusterClient& client, const std::string& group,
                                      const std::vector<TopicPartition>& partitions, MonoTime deadline);

/// The broker that coordinates the group now; one that is asked answers NOT_COORDINATOR once that has changed.
/// One attempt: kUnavailable if it is worth another.
[[nodiscard]] Result<std::shared_ptr<BrokerConnection>> find_coordinator(ClusterClient& client,
                                                                         const std::string& group,
                                                                         MonoTime deadline);

}  // namespace tributary
