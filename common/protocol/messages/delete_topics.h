#pragma once
// DeleteTopics (key 20).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DeleteTopicsResponse {
  static constexpr ApiKey api = ApiKey::kDeleteTopics;
  static constexpr std::string_view name = "DeleteTopicsResponse";
  static constexpr Versions valid{1, 6}, flexible = from_version(4);

  struct Topic {
    std::optional<std::string> name = std::string();
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    static void fields(auto& m, auto& f) {
      f(m.name, kAlways.nullable_since(6));
      f(m.topic_id, since(6).ignorable());
      f(m.error_code);
      f(m.error_message, since(5).ignorable());
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.topics);
  }
  friend bool operator==(const DeleteTopicsResponse&, const DeleteTopicsResponse&) = default;
};

struct DeleteTopicsRequest {
  using Response = DeleteTopicsResponse;
  static constexpr ApiKey api = ApiKey::kDeleteTopics;
  static constexpr std::string_view name = "DeleteTopicsRequest";
  static constexpr Versions valid{1, 6}, flexible = from_version(4);

  struct Topic {
    std::optional<std::string> name;
    Uuid topic_id;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.topic_id);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;             // from version 6
  std::vector<std::string> topic_names;  // up to version 5
  std::int32_t timeout_ms = 0;
  static void fields(auto& m, auto& f) {
    f(m.topics, since(6));
    f(m.topic_names, until(5).ignorable());
    f(m.timeout_ms);
  }
  friend bool operator==(const DeleteTopicsRequest&, const DeleteTopicsRequest&) = default;
};

}  // namespace tributary
