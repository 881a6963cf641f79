#pragma once
// ApiVersions (key 18). Its response header is always version 0, also where the body is flexible, and a
// version that the broker does not serve is answered in version 0 with UNSUPPORTED_VERSION (KIP-511).

#include <span>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/frame.h"

namespace tributary {

struct ApiVersionsResponse {
  static constexpr ApiKey api = ApiKey::kApiVersions;
  static constexpr std::string_view name = "ApiVersionsResponse";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  struct Api {
    ApiKey api_key{};
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    static void fields(auto& m, auto& f) {
      f(m.api_key);
      f(m.min_version);
      f(m.max_version);
    }
    friend bool operator==(const Api&, const Api&) = default;
  };
  struct SupportedFeature {  // KIP-584
    std::string name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.min_version);
      f(m.max_version);
    }
    friend bool operator==(const SupportedFeature&, const SupportedFeature&) = default;
  };
  struct FinalizedFeature {
    std::string name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.max_version_level);
      f(m.min_version_level);
    }
    friend bool operator==(const FinalizedFeature&, const FinalizedFeature&) = default;
  };

  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Api> apis;
  std::int32_t throttle_time_ms = 0;
  std::vector<SupportedFeature> supported_features;
  std::int64_t finalized_features_epoch = -1;
  std::vector<FinalizedFeature> finalized_features;
  bool zk_migration_ready = false;
  static void fields(auto& m, auto& f) {
    f(m.error_code);
    f(m.apis);
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.supported_features, tagged(0, 3).ignorable());
    f(m.finalized_features_epoch, tagged(1, 3).ignorable());
    f(m.finalized_features, tagged(2, 3).ignorable());
    f(m.zk_migration_ready, tagged(3, 3).ignorable());
  }
  friend bool operator==(const ApiVersionsResponse&, const ApiVersionsResponse&) = default;

  /// The `apis` of a table made by supported_apis<...>().
  [[nodiscard]] static std::vector<Api> apis_of(std::span<const SupportedApi> table);
};

struct ApiVersionsRequest {
  using Response = ApiVersionsResponse;
  static constexpr ApiKey api = ApiKey::kApiVersions;
  static constexpr std::string_view name = "ApiVersionsRequest";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  std::string client_software_name;
  std::string client_software_version;
  static void fields(auto& m, auto& f) {
    f(m.client_software_name, since(3).ignorable());
    f(m.client_software_version, since(3).ignorable());
  }
  friend bool operator==(const ApiVersionsRequest&, const ApiVersionsRequest&) = default;
};

}  // namespace tributary
