#include "common/protocol/messages/find_coordinator.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(FindCoordinatorRequest);

}  // namespace tributary
