#pragma once
// The partitions that the tests of the client speak of.

#include "common/protocol/types.h"

namespace tributary {

inline const TopicPartition kFirst{"t", PartitionIndex(0)}, kSecond{"t", PartitionIndex(1)};

}  // namespace tributary
