#include "common/protocol/messages/describe_cluster.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DescribeClusterRequest);

}  // namespace tributary
