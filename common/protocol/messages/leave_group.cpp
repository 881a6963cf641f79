#include "common/protocol/messages/leave_group.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(LeaveGroupRequest);

}  // namespace tributary
