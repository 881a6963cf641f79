#include "common/protocol/messages/fetch.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(FetchRequest);

}  // namespace tributary
