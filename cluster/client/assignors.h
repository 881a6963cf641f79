#pragma once
// How a group's leader shares out partitions: the two assignors that every Kafka client knows.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace tributary {

struct SubscribedMember {
  std::string member_id;
  std::vector<std::string> topics;
};

/// By member id, for every member; partitions in rising order.
using Assignments = std::map<std::string, std::vector<TopicPartition>>;

/// "range": each topic's partitions in runs, by rising member id; the first members get one more where it does not come
/// out even. "roundrobin": all partitions of all topics dealt out in turn. Both as in Kafka's Java client.
[[nodiscard]] bool is_assignor(std::string_view name);

/// Each partition of a topic goes to one member that subscribes to it, of a topic that nobody subscribes to, to none.
/// `partition_counts` need not know a topic: it has no partitions then. `assignor` must be one.
[[nodiscard]] Assignments assign_partitions(std::string_view assignor, const std::vector<SubscribedMember>& members,
                                            const std::map<std::string, std::int32_t>& partition_counts);

}  // namespace tributary
