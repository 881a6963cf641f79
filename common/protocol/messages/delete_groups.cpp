#include "common/protocol/messages/delete_groups.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DeleteGroupsRequest);

}  // namespace tributary
