#include "common/protocol/messages/create_partitions.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(CreatePartitionsRequest);

}  // namespace tributary
