#pragma once
// Produce (key 0).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct ProduceResponse {
  static constexpr ApiKey api = ApiKey::kProduce;
  static constexpr std::string_view name = "ProduceResponse";
  static constexpr Versions valid{0, 11}, flexible = from_version(9);

  struct RecordError {  // KIP-467
    std::int32_t batch_index = 0;
    std::optional<std::string> message;
    static void fields(auto& m, auto& f) {
      f(m.batch_index);
      f(m.message);
    }
    friend bool operator==(const RecordError&, const RecordError&) = default;
  };
  struct Partition {
    PartitionIndex index{0};
    ErrorCode error_code = ErrorCode::kNone;
    Offset base_offset{0};
    std::int64_t log_append_time_ms = -1;  // -1 unless the topic has message.timestamp.type=LogAppendTime
    Offset log_start_offset{-1};
    std::vector<RecordError> record_errors;
    std::optional<std::string> error_message;
    LeaderIdAndEpoch current_leader;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.error_code);
      f(m.base_offset);
      f(m.log_append_time_ms, since(2).ignorable());
      f(m.log_start_offset, since(5).ignorable());
      f(m.record_errors, since(8).ignorable());
      f(m.error_message, since(8).ignorable());
      f(m.current_leader, tagged(0, 10));
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct NodeEndpoint {  // KIP-951
    BrokerId node_id{0};
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    static void fields(auto& m, auto& f) {
      f(m.node_id);
      f(m.host);
      f(m.port);
      f(m.rack);
    }
    friend bool operator==(const NodeEndpoint&, const NodeEndpoint&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;
  static void fields(auto& m, auto& f) {
    f(m.topics);
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.node_endpoints, tagged(0, 10));
  }
  friend bool operator==(const ProduceResponse&, const ProduceResponse&) = default;
};

/// Versions 0 to 2 carry message formats before record batch v2. They are offered but not decoded:
/// librdkafka before 2.11 sends uncompressed to a broker that does not offer 0.
struct ProduceRequest {
  using Response = ProduceResponse;
  static constexpr ApiKey api = ApiKey::kProduce;
  static constexpr std::string_view name = "ProduceRequest";
  static constexpr Versions valid{3, 11}, flexible = from_version(9), served{0, 11};

  static constexpr std::int16_t kAcksNone = 0, kAcksLeader = 1, kAcksAll = -1;

  struct Partition {
    PartitionIndex index{0};
    Records records;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.records);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::string> transactional_id;
  std::int16_t acks = 0;
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.transactional_id, since(3));
    f(m.acks);
    f(m.timeout_ms);
    f(m.topics);
  }
  friend bool operator==(const ProduceRequest&, const ProduceRequest&) = default;
};

}  // namespace tributary
