#include "common/protocol/messages/offset_for_leader_epoch.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(OffsetForLeaderEpochRequest);

}  // namespace tributary
