#include "common/protocol/messages/list_offsets.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(ListOffsetsRequest);

}  // namespace tributary
