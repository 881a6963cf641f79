#pragma once
// What a failed append to __consumer_offsets is called towards clients, as Kafka's GroupMetadataManager does.

#include "common/protocol/error_code.h"

namespace tributary {

[[nodiscard]] ErrorCode commit_error_of(ErrorCode append_error);
[[nodiscard]] ErrorCode group_error_of(ErrorCode append_error);     // of a group's metadata
[[nodiscard]] ErrorCode deletion_error_of(ErrorCode append_error);  // of tombstones

}  // namespace tributary
