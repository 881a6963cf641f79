#pragma once
// What the members of a consumer group say to one another through the coordinator, which does not read it: Kafka's
// ConsumerProtocolSubscription and ConsumerProtocolAssignment.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/bytes/bytes.h"

namespace tributary {

/// The protocol type of groups whose members speak this.
inline constexpr std::string_view kConsumerProtocol = "consumer";

/// Of a member, to its group's leader.
struct Subscription {
  std::vector<std::string> topics;
  std::vector<TopicPartition> owned;  // version 1 (KIP-429): what it reads and has not given up
  /// Version 2 (KIP-792): in which it was given them; none if the member has none, or does not say.
  GenerationId generation{kNoGenerationId};
  friend bool operator==(const Subscription&, const Subscription&) = default;
};

/// Version 3, without a rack; every client reads it: readers take what they know and leave the rest. For
/// "cooperative-sticky" the generation is in the user data too, as leaders from before KIP-792 want it (Java's
/// CooperativeStickyAssignor, franz-go).
[[nodiscard]] Bytes encode(const Subscription& subscription, std::string_view assignor);
/// Of any version. A generation that only the user data has is taken from there: alone (Java's CooperativeStickyAssignor)
/// or behind a list of partitions (librdkafka before 2.3). kCorrupt if it is something else.
[[nodiscard]] Result<Subscription> decode_subscription(ByteView bytes);

/// Of the leader, to a member: its partitions, in rising order.
[[nodiscard]] Bytes encode_assignment(const std::vector<TopicPartition>& partitions);
/// Of any version; empty bytes are no partitions. kCorrupt if it is something else.
[[nodiscard]] Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes);

}  // namespace tributary
