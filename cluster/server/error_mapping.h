#pragma once
// Which of Kafka's error codes says what went wrong inside.

#include "common/base/result.h"
#include "common/protocol/error_code.h"

namespace tributary {

/// Of Log::append.
[[nodiscard]] ErrorCode append_error(const Error& error);
/// Of Log::read and the searches by time.
[[nodiscard]] ErrorCode read_error(const Error& error);
/// Of creating and deleting topics, and of the metadata store.
[[nodiscard]] ErrorCode topic_error(const Error& error);

}  // namespace tributary
