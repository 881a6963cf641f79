#include "common/protocol/messages/heartbeat.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(HeartbeatRequest);

}  // namespace tributary
