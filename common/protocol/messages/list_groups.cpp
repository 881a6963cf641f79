#include "common/protocol/messages/list_groups.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(ListGroupsRequest);

}  // namespace tributary
