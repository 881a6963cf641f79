#pragma once
// InitProducerId (key 22).

#include <optional>
#include <string>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct InitProducerIdResponse {
  static constexpr ApiKey api = ApiKey::kInitProducerId;
  static constexpr std::string_view name = "InitProducerIdResponse";
  static constexpr Versions valid{0, 4}, flexible = from_version(2);

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  ProducerId producer_id{kNoProducerId};
  ProducerEpoch producer_epoch{0};
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.error_code);
    f(m.producer_id);
    f(m.producer_epoch);
  }
  friend bool operator==(const InitProducerIdResponse&, const InitProducerIdResponse&) = default;
};

struct InitProducerIdRequest {
  using Response = InitProducerIdResponse;
  static constexpr ApiKey api = ApiKey::kInitProducerId;
  static constexpr std::string_view name = "InitProducerIdRequest";
  static constexpr Versions valid{0, 4}, flexible = from_version(2);

  std::optional<std::string> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  /// KIP-360: the id and epoch that the producer has, to raise the epoch; -1, -1 for a new id.
  ProducerId producer_id{kNoProducerId};
  ProducerEpoch producer_epoch{kNoProducerEpoch};
  static void fields(auto& m, auto& f) {
    f(m.transactional_id);
    f(m.transaction_timeout_ms);
    f(m.producer_id, since(3));
    f(m.producer_epoch, since(3));
  }
  friend bool operator==(const InitProducerIdRequest&, const InitProducerIdRequest&) = default;
};

}  // namespace tributary
