#include "common/protocol/messages/describe_groups.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DescribeGroupsRequest);

}  // namespace tributary
