#include "common/protocol/messages/offset_delete.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(OffsetDeleteRequest);

}  // namespace tributary
