#pragma once
// How a group's leader shares out partitions.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace tributary {

inline constexpr std::string_view kRange = "range", kRoundRobin = "roundrobin", kCooperativeSticky = "cooperative-sticky";

struct SubscribedMember {
  std::string member_id;
  std::vector<std::string> topics;
  std::optional<std::string> instance_id = std::nullopt;  // of a static member (KIP-345)
  std::vector<TopicPartition> owned = {};                 // what it reads, and gives up only when it has been told
  GenerationId generation{kNoGenerationId};               // in which it was given them
};

/// By member id, for every member; partitions in rising order.
using Assignments = std::map<std::string, std::vector<TopicPartition>>;

/// "range": each topic's partitions in runs, by rising member; the first members get one more where it does not come
/// out even. "roundrobin": all partitions of all topics dealt out in turn. Both as in Kafka's Java client. Members rise by
/// instance id, then those without one by member id: a static member that restarts keeps its place.
///
/// "cooperative-sticky" (KIP-429): see assign_cooperatively.
[[nodiscard]] bool is_assignor(std::string_view name);

/// Whether members that know these assignors rebalance cooperatively. As in Kafka's Java client the group's members do
/// what all their assignors can: cooperatively if each is of that kind, eagerly if one is not, whichever is chosen then.
[[nodiscard]] bool all_cooperative(const std::vector<std::string>& assignors);

/// Each partition of a topic goes to one member that subscribes to it, of a topic that nobody subscribes to, to none.
/// `partition_counts` need not know a topic: it has no partitions then. `assignor` must be one.
[[nodiscard]] Assignments assign_partitions(std::string_view assignor, const std::vector<SubscribedMember>& members,
                                            const std::map<std::string, std::int32_t>& partition_counts);

/// What Kafka's CooperativeStickyAssignor promises:
/// - balanced: with equal subscriptions no member gets more than one partition more than another; with different ones
///   no partition is with a member that has two more than another subscriber of its topic;
/// - sticky: with equal subscriptions the fewest partitions move that this allows;
/// - a partition that another member claims (`owned`) goes to nobody this time: that member gives it up, joins again,
///   and the next generation has it to give away.
/// Of several claims to a partition the one of the highest generation counts; equal ones do not, and all must give it up.
[[nodiscard]] Assignments assign_cooperatively(const std::vector<SubscribedMember>& members,
                                               const std::map<std::string, std::int32_t>& partition_counts);

}  // namespace tributary
