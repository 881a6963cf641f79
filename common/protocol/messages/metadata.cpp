#include "common/protocol/messages/metadata.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(MetadataRequest);

}  // namespace tributary
