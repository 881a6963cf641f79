#include "common/protocol/messages/join_group.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(JoinGroupRequest);

}  // namespace tributary
