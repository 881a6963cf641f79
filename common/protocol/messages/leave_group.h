#pragma once
// LeaveGroup (key 13). From version 3 several members may leave at once (KIP-345); before, the one member
// stands in the message itself.

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct LeaveGroupResponse {
  static constexpr ApiKey api = ApiKey::kLeaveGroup;
  static constexpr std::string_view name = "LeaveGroupResponse";
  static constexpr Versions valid{0, 5}, flexible = from_version(4);

  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.member_id);
      f(m.group_instance_id);
      f(m.error_code);
    }
    friend bool operator==(const Member&, const Member&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;  // of the request; before version 3 also of its member
  std::vector<Member> members;              // from version 3
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code);
    f(m.members, since(3));
  }
  friend bool operator==(const LeaveGroupResponse&, const LeaveGroupResponse&) = default;
};

struct LeaveGroupRequest {
  using Response = LeaveGroupResponse;
  static constexpr ApiKey api = ApiKey::kLeaveGroup;
  static constexpr std::string_view name = "LeaveGroupRequest";
  static constexpr Versions valid{0, 5}, flexible = from_version(4);

  struct Member {
    std::string member_id;  // may be empty with an instance id
    std::optional<std::string> group_instance_id;
    std::optional<std::string> reason;  // KIP-800
    static void fields(auto& m, auto& f) {
      f(m.member_id);
      f(m.group_instance_id);
      f(m.reason, since(5).ignorable());
    }
    friend bool operator==(const Member&, const Member&) = default;
  };

  std::string group_id;
  std::string member_id;        // up to version 2
  std::vector<Member> members;  // from version 3
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.member_id, until(2));
    f(m.members, since(3));
  }
  friend bool operator==(const LeaveGroupRequest&, const LeaveGroupRequest&) = default;
};

}  // namespace tributary
