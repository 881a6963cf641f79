#include "common/protocol/messages/delete_records.h"

#include "common/protocol/codec.h"

namespace tributary {

TRIBUTARY_INSTANTIATE_MESSAGES(DeleteRecordsRequest);

}  // namespace tributary
