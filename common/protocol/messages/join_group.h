#pragma once
// JoinGroup (key 11).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct JoinGroupResponse {
  static constexpr ApiKey api = ApiKey::kJoinGroup;
  static constexpr std::string_view name = "JoinGroupResponse";
  static constexpr Versions valid{0, 9}, flexible = from_version(6);

  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;  // KIP-345
    ByteView metadata;                             // as the member gave it for the chosen protocol
    static void fields(auto& m, auto& f) {
      f(m.member_id);
      f(m.group_instance_id, since(5).ignorable());
      f(m.metadata);
    }
    friend bool operator==(const Member& a, const Member& b) {
      return a.member_id == b.member_id && a.group_instance_id == b.group_instance_id &&
             as_string_view(a.metadata) == as_string_view(b.metadata);
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  GenerationId generation_id{kNoGenerationId};
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name = std::string();
  std::string leader;             // a member id
  bool skip_assignment = false;   // KIP-814: the leader gives no assignment in SyncGroup
  std::string member_id;
  std::vector<Member> members;    // for the leader only
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(2).ignorable());
    f(m.error_code);
    f(m.generation_id);
    f(m.protocol_type, since(7).ignorable());
    f(m.protocol_name, kAlways.nullable_since(7));
    f(m.leader);
    f(m.skip_assignment, since(9));
    f(m.member_id);
    f(m.members);
  }
  friend bool operator==(const JoinGroupResponse&, const JoinGroupResponse&) = default;
};

/// From version 4 a member without an id is answered MEMBER_ID_REQUIRED and the id to come back with
/// (KIP-394).
struct JoinGroupRequest {
  using Response = JoinGroupResponse;
  static constexpr ApiKey api = ApiKey::kJoinGroup;
  static constexpr std::string_view name = "JoinGroupRequest";
  static constexpr Versions valid{0, 9}, flexible = from_version(6);

  struct Protocol {
    std::string name;
    ByteView metadata;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.metadata);
    }
    friend bool operator==(const Protocol& a, const Protocol& b) {
      return a.name == b.name && as_string_view(a.metadata) == as_string_view(b.metadata);
    }
  };

  std::string group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;  // version 0 means the session's
  std::string member_id;
  std::optional<std::string> group_instance_id;  // KIP-345
  std::string protocol_type;                     // "consumer", "connect"
  std::vector<Protocol> protocols;               // the member's choice, best first
  std::optional<std::string> reason;             // KIP-800
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.session_timeout_ms);
    f(m.rebalance_timeout_ms, since(1).ignorable());
    f(m.member_id);
    f(m.group_instance_id, since(5));
    f(m.protocol_type);
    f(m.protocols);
    f(m.reason, since(8).ignorable());
  }
  friend bool operator==(const JoinGroupRequest&, const JoinGroupRequest&) = default;
};

}  // namespace tributary
