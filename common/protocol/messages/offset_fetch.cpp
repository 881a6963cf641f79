#include "common/protocol/messages/offset_fetch.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(OffsetFetchRequest);

}  // namespace tributary
