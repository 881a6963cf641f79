#include "common/protocol/messages/produce.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(ProduceRequest);

}  // namespace tributary
