#include "common/protocol/messages/offset_commit.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(OffsetCommitRequest);

}  // namespace tributary
