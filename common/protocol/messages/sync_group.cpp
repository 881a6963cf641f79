#include "common/protocol/messages/sync_group.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(SyncGroupRequest);

}  // namespace tributary
