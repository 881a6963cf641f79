#pragma once
// SyncGroup (key 14).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct SyncGroupResponse {
  static constexpr ApiKey api = ApiKey::kSyncGroup;
  static constexpr std::string_view name = "SyncGroupResponse";
  static constexpr Versions valid{0, 5}, flexible = from_version(4);

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> protocol_type;  // KIP-559
  std::optional<std::string> protocol_name;
  ByteView assignment;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code);
    f(m.protocol_type, since(5).ignorable());
    f(m.protocol_name, since(5).ignorable());
    f(m.assignment);
  }
  friend bool operator==(const SyncGroupResponse& a, const SyncGroupResponse& b) {
    return a.throttle_time_ms == b.throttle_time_ms && a.error_code == b.error_code &&
           a.protocol_type == b.protocol_type && a.protocol_name == b.protocol_name &&
           as_string_view(a.assignment) == as_string_view(b.assignment);
  }
};

struct SyncGroupRequest {
  using Response = SyncGroupResponse;
  static constexpr ApiKey api = ApiKey::kSyncGroup;
  static constexpr std::string_view name = "SyncGroupRequest";
  static constexpr Versions valid{0, 5}, flexible = from_version(4);

  struct Assignment {
    std::string member_id;
    ByteView assignment;
    static void fields(auto& m, auto& f) {
      f(m.member_id);
      f(m.assignment);
    }
    friend bool operator==(const Assignment& a, const Assignment& b) {
      return a.member_id == b.member_id && as_string_view(a.assignment) == as_string_view(b.assignment);
    }
  };

  std::string group_id;
  GenerationId generation_id{0};
  std::string member_id;
  std::optional<std::string> group_instance_id;  // KIP-345
  std::optional<std::string> protocol_type;      // KIP-559
  std::optional<std::string> protocol_name;
  std::vector<Assignment> assignments;  // of the leader; others send none
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.generation_id);
    f(m.member_id);
    f(m.group_instance_id, since(3));
    f(m.protocol_type, since(5).ignorable());
    f(m.protocol_name, since(5).ignorable());
    f(m.assignments);
  }
  friend bool operator==(const SyncGroupRequest&, const SyncGroupRequest&) = default;
};

}  // namespace tributary
