#pragma once
// DeleteGroups (key 42).

#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DeleteGroupsResponse {
  static constexpr ApiKey api = ApiKey::kDeleteGroups;
  static constexpr std::string_view name = "DeleteGroupsResponse";
  static constexpr Versions valid{0, 2}, flexible = from_version(2);

  struct Group {
    std::string group_id;
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.group_id);
      f(m.error_code);
    }
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.groups);
  }
  friend bool operator==(const DeleteGroupsResponse&, const DeleteGroupsResponse&) = default;
};

struct DeleteGroupsRequest {
  using Response = DeleteGroupsResponse;
  static constexpr ApiKey api = ApiKey::kDeleteGroups;
  static constexpr std::string_view name = "DeleteGroupsRequest";
  static constexpr Versions valid{0, 2}, flexible = from_version(2);

  std::vector<std::string> groups;
  static void fields(auto& m, auto& f) { f(m.groups); }
  friend bool operator==(const DeleteGroupsRequest&, const DeleteGroupsRequest&) = default;
};

}  // namespace tributary
