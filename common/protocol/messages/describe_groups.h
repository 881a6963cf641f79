#pragma once
// DescribeGroups (key 15).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DescribeGroupsResponse {
  static constexpr ApiKey api = ApiKey::kDescribeGroups;
  static constexpr std::string_view name = "DescribeGroupsResponse";
  static constexpr Versions valid{0, 5}, flexible = from_version(5);

  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;  // KIP-345
    std::string client_id;
    std::string client_host;
    ByteView metadata;    // for the group's protocol
    ByteView assignment;  // this and the metadata are empty unless the group is stable
    static void fields(auto& m, auto& f) {
      f(m.member_id);
      f(m.group_instance_id, since(4).ignorable());
      f(m.client_id);
      f(m.client_host);
      f(m.metadata);
      f(m.assignment);
    }
    friend bool operator==(const Member& a, const Member& b) {
      return a.member_id == b.member_id && a.group_instance_id == b.group_instance_id &&
             a.client_id == b.client_id && a.client_host == b.client_host &&
             as_string_view(a.metadata) == as_string_view(b.metadata) &&
             as_string_view(a.assignment) == as_string_view(b.assignment);
    }
  };
  struct Group {
    ErrorCode error_code = ErrorCode::kNone;
    std::string group_id;
    std::string state;  // "Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead"
    std::string protocol_type;
    std::string protocol_name;
    std::vector<Member> members;
    std::int32_t authorized_operations = kAuthorizedOperationsOmitted;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.group_id);
      f(m.state);
      f(m.protocol_type);
      f(m.protocol_name);
      f(m.members);
      f(m.authorized_operations, since(3));
    }
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.groups);
  }
  friend bool operator==(const DescribeGroupsResponse&, const DescribeGroupsResponse&) = default;
};

struct DescribeGroupsRequest {
  using Response = DescribeGroupsResponse;
  static constexpr ApiKey api = ApiKey::kDescribeGroups;
  static constexpr std::string_view name = "DescribeGroupsRequest";
  static constexpr Versions valid{0, 5}, flexible = from_version(5);

  std::vector<std::string> groups;
  bool include_authorized_operations = false;
  static void fields(auto& m, auto& f) {
    f(m.groups);
    f(m.include_authorized_operations, since(3));
  }
  friend bool operator==(const DescribeGroupsRequest&, const DescribeGroupsRequest&) = default;
};

}  // namespace tributary
