#pragma once
// ListGroups (key 16). Version 5 belongs to KIP-848.

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct ListGroupsResponse {
  static constexpr ApiKey api = ApiKey::kListGroups;
  static constexpr std::string_view name = "ListGroupsResponse";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  struct Group {
    std::string group_id;
    std::string protocol_type;
    std::string state;  // KIP-518; as in DescribeGroups
    static void fields(auto& m, auto& f) {
      f(m.group_id);
      f(m.protocol_type);
      f(m.state, since(4).ignorable());
    }
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Group> groups;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(1).ignorable());
    f(m.error_code);
    f(m.groups);
  }
  friend bool operator==(const ListGroupsResponse&, const ListGroupsResponse&) = default;
};

struct ListGroupsRequest {
  using Response = ListGroupsResponse;
  static constexpr ApiKey api = ApiKey::kListGroups;
  static constexpr std::string_view name = "ListGroupsRequest";
  static constexpr Versions valid{0, 4}, flexible = from_version(3);

  std::vector<std::string> states_filter;  // KIP-518; empty = all
  static void fields(auto& m, auto& f) { f(m.states_filter, since(4)); }
  friend bool operator==(const ListGroupsRequest&, const ListGroupsRequest&) = default;
};

}  // namespace tributary
