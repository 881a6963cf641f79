#include "common/protocol/messages/describe_configs.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DescribeConfigsRequest);

}  // namespace tributary
