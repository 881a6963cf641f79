#include "common/protocol/messages/incremental_alter_configs.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(IncrementalAlterConfigsRequest);

}  // namespace tributary
