#pragma once
// CreateTopics (key 19).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct CreateTopicsResponse {
  static constexpr ApiKey api = ApiKey::kCreateTopics;
  static constexpr std::string_view name = "CreateTopicsResponse";
  static constexpr Versions valid{2, 7}, flexible = from_version(5);

  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t config_source = -1;  // see DescribeConfigsResponse::Source
    bool is_sensitive = false;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.value);
      f(m.read_only);
      f(m.config_source);
      f(m.is_sensitive);
    }
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    ErrorCode topic_config_error_code = ErrorCode::kNone;  // why `configs` is not given
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs = std::vector<Config>{};
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.topic_id, since(7).ignorable());
      f(m.error_code);
      f(m.error_message, since(1).ignorable());
      f(m.topic_config_error_code, tagged(0, 5).ignorable());
      f(m.num_partitions, since(5).ignorable());
      f(m.replication_factor, since(5).ignorable());
      f(m.configs, since(5).ignorable());
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(2).ignorable());
    f(m.topics);
  }
  friend bool operator==(const CreateTopicsResponse&, const CreateTopicsResponse&) = default;
};

struct CreateTopicsRequest {
  using Response = CreateTopicsResponse;
  static constexpr ApiKey api = ApiKey::kCreateTopics;
  static constexpr std::string_view name = "CreateTopicsRequest";
  static constexpr Versions valid{2, 7}, flexible = from_version(5);

  struct Assignment {
    PartitionIndex partition_index{0};
    std::vector<BrokerId> broker_ids;
    static void fields(auto& m, auto& f) {
      f(m.partition_index);
      f(m.broker_ids);
    }
    friend bool operator==(const Assignment&, const Assignment&) = default;
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.value);
    }
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Topic {
    std::string name;
    /// -1 with assignments; -1 without means the broker's default (KIP-464, sent from version 4).
    std::int32_t num_partitions = 0;
    std::int16_t replication_factor = 0;
    std::vector<Assignment> assignments;
    std::vector<Config> configs;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.num_partitions);
      f(m.replication_factor);
      f(m.assignments);
      f(m.configs);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 60'000;
  bool validate_only = false;
  static void fields(auto& m, auto& f) {
    f(m.topics);
    f(m.timeout_ms);
    f(m.validate_only, since(1));
  }
  friend bool operator==(const CreateTopicsRequest&, const CreateTopicsRequest&) = default;
};

}  // namespace tributary
