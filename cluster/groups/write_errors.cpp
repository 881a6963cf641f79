#include "cluster/groups/write_errors.h"

namespace tributary {
namespace {

bool too_large(ErrorCode error) {
  return error == ErrorCode::kMessageTooLarge || error == ErrorCode::kRecordListTooLarge ||
         error == ErrorCode::kInvalidFetchSize;
}

ErrorCode common_error_of(ErrorCode error) {
  switch (error) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kNotEnoughReplicasAfterAppend: return ErrorCode::kCoordinatorNotAvailable;
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kKafkaStorageError: return ErrorCode::kNotCoordinator;
    default: return error;
  }
}

}  // namespace

ErrorCode commit_error_of(ErrorCode append_error) {
  return too_large(append_error) ? ErrorCode::kInvalidCommitOffsetSize : common_error_of(append_error);
}

ErrorCode group_error_of(ErrorCode append_error) {
  // The member joins again, and the group is stored again.
  if (append_error == ErrorCode::kRequestTimedOut) return ErrorCode::kRebalanceInProgress;
  return too_large(append_error) ? ErrorCode::kUnknownServerError : common_error_of(append_error);
}

ErrorCode deletion_error_of(ErrorCode append_error) {
  return too_large(append_error) ? ErrorCode::kUnknownServerError : common_error_of(append_error);
}

}  // namespace tributary
