#include "cluster/server/error_mapping.h"

namespace tributary {

ErrorCode append_error(const Error& error) {
  switch (error.code) {
    case Errc::kTooLarge: return ErrorCode::kMessageTooLarge;
    case Errc::kCorrupt: return ErrorCode::kCorruptMessage;
    case Errc::kInvalidArgument: return ErrorCode::kInvalidRecord;
    case Errc::kUnsupported: return ErrorCode::kUnsupportedForMessageFormat;
    case Errc::kFenced: return ErrorCode::kInvalidProducerEpoch;
    case Errc::kOutOfOrderSequence: return ErrorCode::kOutOfOrderSequenceNumber;
    case Errc::kDuplicateSequence: return ErrorCode::kDuplicateSequenceNumber;
    case Errc::kInvalidTimestamp: return ErrorCode::kInvalidTimestamp;
    case Errc::kIo:
    case Errc::kNoSpace:
    case Errc::kUnavailable: return ErrorCode::kKafkaStorageError;
    default: return ErrorCode::kUnknownServerError;
  }
}

ErrorCode read_error(const Error& error) {
  return error.code == Errc::kOutOfRange ? ErrorCode::kOffsetOutOfRange : ErrorCode::kKafkaStorageError;
}

ErrorCode topic_error(const Error& error) {
  switch (error.code) {
    case Errc::kAlreadyExists: return ErrorCode::kTopicAlreadyExists;
    case Errc::kNotFound: return ErrorCode::kUnknownTopicOrPartition;
    case Errc::kOutOfRange: return ErrorCode::kInvalidPartitions;
    case Errc::kInvalidArgument: return ErrorCode::kInvalidRequest;
    case Errc::kTimeout: return ErrorCode::kRequestTimedOut;
    case Errc::kUnavailable: return ErrorCode::kBrokerNotAvailable;
    case Errc::kIo:
    case Errc::kNoSpace:
    case Errc::kCorrupt: return ErrorCode::kKafkaStorageError;
    default: return ErrorCode::kUnknownServerError;
  }
}

}  // namespace tributary
