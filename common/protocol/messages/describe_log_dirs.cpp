#include "common/protocol/messages/describe_log_dirs.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DescribeLogDirsRequest);

}  // namespace tributary
