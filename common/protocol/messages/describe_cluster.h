#pragma once
// DescribeCluster (key 60, KIP-700).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DescribeClusterResponse {
  static constexpr ApiKey api = ApiKey::kDescribeCluster;
  static constexpr std::string_view name = "DescribeClusterResponse";
  static constexpr Versions valid{0, 1}, flexible = from_version(0);

  struct Broker {
    BrokerId broker_id{0};
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    static void fields(auto& m, auto& f) {
      f(m.broker_id);
      f(m.host);
      f(m.port);
      f(m.rack);
    }
    friend bool operator==(const Broker&, const Broker&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t endpoint_type = 1;  // KIP-919: 1 = brokers, 2 = controllers
  std::string cluster_id;
  BrokerId controller_id{kNoBroker};
  std::vector<Broker> brokers;
  std::int32_t cluster_authorized_operations = kAuthorizedOperationsOmitted;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.error_code);
    f(m.error_message);
    f(m.endpoint_type, since(1));
    f(m.cluster_id);
    f(m.controller_id);
    f(m.brokers);
    f(m.cluster_authorized_operations);
  }
  friend bool operator==(const DescribeClusterResponse&, const DescribeClusterResponse&) = default;
};

struct DescribeClusterRequest {
  using Response = DescribeClusterResponse;
  static constexpr ApiKey api = ApiKey::kDescribeCluster;
  static constexpr std::string_view name = "DescribeClusterRequest";
  static constexpr Versions valid{0, 1}, flexible = from_version(0);

  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;
  static void fields(auto& m, auto& f) {
    f(m.include_cluster_authorized_operations);
    f(m.endpoint_type, since(1));
  }
  friend bool operator==(const DescribeClusterRequest&, const DescribeClusterRequest&) = default;
};

}  // namespace tributary
