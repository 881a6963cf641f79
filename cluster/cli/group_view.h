#pragma once
// How groups are shown.

#include <optional>
#include <string>
#include <vector>

#include "cluster/client/groups.h"

namespace tributary {

/// A partition that a group has read, or is to read.
struct GroupPartition {
  TopicPartition partition;
  std::optional<Offset> committed;
  std::optional<Offset> log_end;  // exclusive; nothing if the partition does not exist any more
  std::string member_id;          // empty: nobody reads it at present
  std::string host;
  /// Records that are still to be read; never negative.
  [[nodiscard]] std::optional<std::int64_t> lag() const;
};

struct GroupView {
  GroupInfo info;
  std::vector<GroupPartition> partitions;  // in rising order
};

/// Asks for all of it. kNotFound if there is no such group.
[[nodiscard]] Result<GroupView> view_group(ClusterClient& client, const std::string& group, MonoTime deadline);

[[nodiscard]] std::string text_of(const GroupView& view);
[[nodiscard]] std::string members_text(const GroupView& view);
[[nodiscard]] std::string json_of(const GroupView& view);
/// One a line.
[[nodiscard]] std::string text_of(const std::vector<GroupSummary>& groups);
[[nodiscard]] std::string json_of(const std::vector<GroupSummary>& groups);

struct TopicPartitions {
  std::string topic;
  std::vector<PartitionIndex> partitions;  // empty: all
};
/// "readings", "readings:0", "readings:0,2". kInvalidArgument says what is expected.
[[nodiscard]] Result<TopicPartitions> parse_topic_partitions(std::string_view text);

}  // namespace tributary
