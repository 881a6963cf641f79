#include "common/protocol/messages/create_topics.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(CreateTopicsRequest);

}  // namespace tributary
