#include <algorithm>

#include "cluster/client/cluster_client.h"
#include "common/env/random.h"

namespace tributary {
namespace {

Errc errc_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOffsetOutOfRange: return Errc::kOutOfRange;
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kInvalidRecord: return Errc::kCorrupt;
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kResourceNotFound: return Errc::kNotFound;
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kRecordListTooLarge: return Errc::kTooLarge;
    case ErrorCode::kTopicAlreadyExists: return Errc::kAlreadyExists;
    case ErrorCode::kUnsupportedVersion:
    case ErrorCode::kUnsupportedForMessageFormat:
    case ErrorCode::kUnsupportedCompressionType: return Errc::kUnsupported;
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kFencedInstanceId:
    case ErrorCode::kProducerFenced: return Errc::kFenced;
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kUnknownProducerId: return Errc::kOutOfOrderSequence;
    case ErrorCode::kDuplicateSequenceNumber: return Errc::kDuplicateSequence;
    case ErrorCode::kRequestTimedOut: return Errc::kTimeout;
    case ErrorCode::kUnknownServerError: return Errc::kIo;
    default: return retriable(code) ? Errc::kUnavailable : Errc::kInvalidArgument;
  }
}

}  // namespace

tl::unexpected<Error> fail_code(std::string_view what, ErrorCode code,
                                const std::optional<std::string>& message) {
  if (message && !message->empty())
    return fail(errc_of(code), fmt::format("{}: {} ({})", what, code, *message));
  return fail(errc_of(code), fmt::format("{}: {}", what, code));
}

MonoTime now() { return system_clock().mono_now(); }

MonoTime deadline_in(Duration duration) { return now() + duration; }

Duration backoff(int attempt, Duration min, Duration max) {
  const auto ceiling = std::min<Duration>(max, min * (1l << std::clamp(attempt, 0, 20)));
  const auto span = static_cast<std::uint64_t>(std::max<std::int64_t>(ceiling.count(), 1));
  const Duration wait(static_cast<std::int64_t>(random_u64_from_os() % span));
  return std::max<Duration>(wait, std::chrono::milliseconds(1));
}

}  // namespace tributary
