#include "common/protocol/messages/init_producer_id.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(InitProducerIdRequest);

}  // namespace tributary
