#include "common/protocol/messages/delete_topics.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DeleteTopicsRequest);

}  // namespace tributary
