#pragma once
// DescribeConfigs (key 32).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

/// ConfigResource.Type in Kafka's clients.
enum class ConfigResourceType : std::int8_t { kUnknown = 0, kTopic = 2, kBroker = 4, kBrokerLogger = 8 };

struct DescribeConfigsResponse {
  static constexpr ApiKey api = ApiKey::kDescribeConfigs;
  static constexpr std::string_view name = "DescribeConfigsResponse";
  static constexpr Versions valid{1, 4}, flexible = from_version(4);

  enum class Source : std::int8_t {
    kNone = -1, kUnknown = 0, kTopic = 1, kDynamicBroker = 2, kDynamicDefaultBroker = 3,
    kStaticBroker = 4, kDefault = 5, kDynamicBrokerLogger = 6,
  };
  enum class Type : std::int8_t {
    kUnknown = 0, kBoolean = 1, kString = 2, kInt = 3, kShort = 4, kLong = 5, kDouble = 6, kList = 7,
    kClass = 8, kPassword = 9,
  };

  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    Source source = Source::kUnknown;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.value);
      f(m.source);
    }
    friend bool operator==(const Synonym&, const Synonym&) = default;
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    Source source = Source::kNone;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    Type type = Type::kUnknown;
    std::optional<std::string> documentation;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.value);
      f(m.read_only);
      f(m.source, since(1).ignorable());
      f(m.is_sensitive);
      f(m.synonyms, since(1).ignorable());
      f(m.type, since(3).ignorable());
      f(m.documentation, since(3).ignorable());
    }
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    ConfigResourceType type = ConfigResourceType::kUnknown;
    std::string name;
    std::vector<Config> configs;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.error_message);
      f(m.type);
      f(m.name);
      f(m.configs);
    }
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.resources);
  }
  friend bool operator==(const DescribeConfigsResponse&, const DescribeConfigsResponse&) = default;
};

struct DescribeConfigsRequest {
  using Response = DescribeConfigsResponse;
  static constexpr ApiKey api = ApiKey::kDescribeConfigs;
  static constexpr std::string_view name = "DescribeConfigsRequest";
  static constexpr Versions valid{1, 4}, flexible = from_version(4);

  struct Resource {
    ConfigResourceType type = ConfigResourceType::kUnknown;
    std::string name;
    std::optional<std::vector<std::string>> configuration_keys = std::vector<std::string>{};  // null = all
    static void fields(auto& m, auto& f) {
      f(m.type);
      f(m.name);
      f(m.configuration_keys);
    }
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  static void fields(auto& m, auto& f) {
    f(m.resources);
    f(m.include_synonyms, since(1));
    f(m.include_documentation, since(3));
  }
  friend bool operator==(const DescribeConfigsRequest&, const DescribeConfigsRequest&) = default;
};

}  // namespace tributary
